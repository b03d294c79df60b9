"""The canvas in a Celery message: its shape, and the queues that a worker sends to for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from risk_tasks.errors import CallbackQueueError
from risk_tasks.queues import RESERVED_PREFIX

#: options by which a signature would bring its own connection or declare entities
_REFUSED_OPTIONS = frozenset(
    ("connection", "producer", "publisher", "router", "declare", "exchange_type", "task_type")
)


class _Signature(msgspec.Struct):
    task: str
    args: list[Any]
    kwargs: dict[str, Any]
    options: dict[str, Any]
    subtask_type: str | None = None
    immutable: bool | None = None


class _Embed(msgspec.Struct, forbid_unknown_fields=True):
    """The third part of a body: what a worker sends after the task."""

    callbacks: list[_Signature] | None = None
    errbacks: list[_Signature] | None = None
    chain: list[_Signature] | None = None
    chord: _Signature | None = None

    def sent_by_the_worker(self) -> Iterator[_Signature]:
        """Yield the signatures that follow directly; the rest of a chain is data."""
        yield from self.callbacks or ()
        yield from self.errbacks or ()
        yield from (self.chain or ())[-1:]
        if self.chord is not None:
            yield self.chord


def check_shape(embed: object) -> None:
    """Raise `ValueError` if Celery cannot read `embed` as a canvas."""
    for signature in msgspec.convert(embed, _Embed).sent_by_the_worker():
        for _ in _destinations(signature):
            pass


def has_canvas(embed: Mapping[str, Any] | None) -> bool:
    """Return whether anything follows the task."""
    return any((embed or {}).values())


def result_ids(embed: Mapping[str, Any] | None) -> list[str]:
    """Return the ids of results that a caller of the canvas may wait for."""
    follows = [*((embed or {}).get("chain") or ()), (embed or {}).get("chord")]
    ids = [one["options"].get("task_id") for one in follows if one]
    return [one for one in ids if isinstance(one, str)]


def require_allowed(embed: Mapping[str, Any], allowed: Sequence[str] | None) -> None:
    """Raise `CallbackQueueError` if the worker would send to a queue that is not in `allowed`.

    Without a queue a callback goes to the first of `allowed`. Queues of this package are never
    allowed; None allows all others.
    """
    for queue in _queues(msgspec.convert(dict(embed), _Embed).sent_by_the_worker()):
        if queue is None:
            continue
        if queue.startswith(RESERVED_PREFIX) or (allowed is not None and queue not in allowed):
            expected = " or ".join(allowed or ("a queue of another app",))
            raise CallbackQueueError(f"A callback names the queue {queue!r}: expected {expected}.")


def without_refused(
    signatures: Iterable[Mapping[str, Any]] | None, allowed: Sequence[str]
) -> list[Mapping[str, Any]]:
    """Return those of `signatures` that go to `allowed` queues only."""

    def goes(signature: Mapping[str, Any]) -> bool:
        try:
            require_allowed({"callbacks": [signature]}, allowed)
        except CallbackQueueError:
            return False
        return True

    return [one for one in signatures or () if goes(one)]


def _queues(signatures: Iterable[_Signature]) -> Iterator[str | None]:
    for signature in signatures:
        yield from _destinations(signature)


def _destinations(signature: _Signature) -> Iterator[str | None]:
    """Yield the queue of each message that applying `signature` sends; None: no queue is named."""
    refused = _REFUSED_OPTIONS & {name for name, value in signature.options.items() if value}
    if refused:
        raise ValueError(f"a signature has the option {min(refused)!r}")
    match signature.subtask_type:
        case None:
            yield _queue(signature.options)
        case "chain":
            yield from _all(_tasks(signature)[:1])
        case "group":
            yield from _all(_tasks(signature))
        case "chord":
            header = signature.kwargs.get("header")
            if isinstance(header, dict):
                header = _tasks(msgspec.convert(header, _Signature))
            yield from _all([*(header or ()), signature.kwargs.get("body")])
        case other:
            raise ValueError(f"a signature has the unknown type {other[:40]!r}")


def _tasks(signature: _Signature) -> list[Any]:
    return msgspec.convert(signature.kwargs.get("tasks"), list[Any])


def _all(signatures: Iterable[Any]) -> Iterator[str | None]:
    yield from _queues(msgspec.convert(one, _Signature) for one in signatures)


def _queue(options: Mapping[str, Any]) -> str | None:
    exchange, queue = options.get("exchange"), options.get("queue")
    if exchange:
        return f"exchange {str(exchange)[:40]}"
    if queue is not None and not isinstance(queue, str):
        raise ValueError("the queue of a signature is not text")
    return queue or None
