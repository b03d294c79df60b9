"""Loads and calls the Lua scripts of the broker, the cache and the store.

Writes that are acknowledged to a caller also wait for replicas here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, TypeAlias, TypeVar

import redis
from redis.exceptions import NoScriptError

Command: TypeAlias = Sequence[Any]
Result = TypeVar("Result")
Item = TypeVar("Item")

#: a key that each acknowledged call writes after its commands
REPLICATED_KEY = "risk:replicated"
#: how long one call waits for the replicas; shorter than the socket timeout of a client
WAIT_S = 1.0

_SECTION = re.compile(r"^-- script: (\w+)$", re.MULTILINE)


class TooFewReplicasError(redis.RedisError):
    """Too few replicas confirmed a write."""

    def __init__(self, confirmed: int, required: int) -> None:
        super().__init__(
            f"{confirmed} of {required} replicas confirmed the write within {WAIT_S:g} s"
        )
        self.confirmed = confirmed
        self.required = required


class Script:
    """A script of the file `lua/FILE.lua` of a package.

    A file has one script, or several that each start with a line `-- script: NAME`. The text before
    the first of these lines, the head, is part of every script of the file. The heads of the files
    `after` come before it. A script must be safe to repeat, because lost connections are retried.
    An `acknowledged` one returns when the replicas that the client requires have its writes.
    """

    def __init__(
        self,
        client: redis.Redis,
        package: str,
        file: str,
        name: str | None = None,
        *,
        after: Sequence[str] = (),
        acknowledged: bool = False,
    ) -> None:
        self._client = client
        self._n_replicas = replicas_required(client) if acknowledged else 0
        self._text = _text(package, (*after, file), name)
        self._sha = _sha(self._text)

    def __call__(self, *, keys: Sequence[Any] = (), args: Sequence[Any] = ()) -> Any:
        command = self.command(keys, args)
        if self._n_replicas:
            return self.run_all([command], transaction=False)[0]
        return self._loaded(lambda: self._client.execute_command(*command))  # type: ignore[no-untyped-call]

    def command(self, keys: Sequence[Any], args: Sequence[Any]) -> Command:
        """Return the command that calls the script, for `run_all`."""
        return ["EVALSHA", self._sha, len(keys), *keys, *args]

    def run_all(self, commands: Sequence[Command], *, transaction: bool) -> list[Any]:
        """Run `commands`, calls of this script among them, in one round trip.

        If the server does not have the script, it is loaded and all commands run again.
        """
        # Not by the scripts of a redis-py pipeline: it adds SCRIPT EXISTS to each execution.
        if self._n_replicas:
            return self._loaded(
                lambda: _replicate(self._client, commands, self._n_replicas, transaction)
            )
        return self._loaded(lambda: _execute(self._client, commands, transaction))

    def _loaded(self, call: Callable[[], Result]) -> Result:
        try:
            return call()
        except NoScriptError:  # after a restart or SCRIPT FLUSH
            self._client.script_load(self._text)
            return call()


def replicas_required(client: redis.Redis) -> int:
    """Return how many replicas have what a call of `client` acknowledged."""
    return getattr(client, "replicas_required", 0)


def acknowledge(client: redis.Redis, *command: Any) -> Any:
    """Run one command; returns when the replicas that `client` requires have its write."""
    n_replicas = replicas_required(client)
    if n_replicas:
        return _replicate(client, [command], n_replicas, transaction=False)[0]
    return client.execute_command(*command)  # type: ignore[no-untyped-call]


def _execute(client: redis.Redis, commands: Sequence[Command], transaction: bool) -> list[Any]:
    with client.pipeline(transaction=transaction) as pipe:
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        return list(pipe.execute())


def _replicate(
    client: redis.Redis, commands: Sequence[Command], n_replicas: int, transaction: bool
) -> list[Any]:
    """Run `commands`, then WAIT on the same connection; raises `TooFewReplicasError`.

    WAIT waits for the last write of its connection. A repeated call may write nothing, on a new
    connection that has written nothing, and WAIT would count all replicas: so another write comes
    before it. In Lua and in MULTI, WAIT returns at once.
    """
    if transaction:
        commands = [("MULTI",), *commands, ("EXEC",)]
    waiting = [("SET", REPLICATED_KEY, 1), ("WAIT", n_replicas, round(WAIT_S * 1e3))]
    *replies, _, confirmed = _execute(client, [*commands, *waiting], transaction=False)
    if transaction:
        replies = replies[-1]
        for reply in replies:
            if isinstance(reply, redis.ResponseError):
                raise reply
    if confirmed < n_replicas:
        raise TooFewReplicasError(confirmed, n_replicas)
    return replies


def in_chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield `items` in chunks of `size`, so that no script call blocks the server for long."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


@cache
def _text(package: str, parts: Sequence[str], name: str | None) -> str:
    files_read = [_read(package, part) for part in parts]
    heads = [head for head, _ in files_read]
    return "\n".join(heads if name is None else [*heads, files_read[-1][1][name]])


@cache
def _read(package: str, file: str) -> tuple[str, dict[str, str]]:
    """Return the head of a file and its scripts by name."""
    head, *named = _SECTION.split((files(package) / "lua" / f"{file}.lua").read_text())
    return head, dict(zip(named[::2], named[1::2], strict=True))


@cache
def _sha(text: str) -> str:
    return sha1(text.encode(), usedforsecurity=False).hexdigest()
