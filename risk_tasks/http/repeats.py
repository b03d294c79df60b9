"""Idempotency keys: a request that is sent again under its key is answered once."""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from risk_tasks.errors import TransportError
from risk_tasks.http.problems import RETRY_AFTER_S, ProblemError
from risk_tasks.http.tokens import Caller
from risk_tasks.keys import CLAIM_TTL_S
from risk_tasks.store.idempotency import Answered, Claimed, IdempotencyStore, Reused, Running

KEY_HEADER = "Idempotency-Key"
KEY_PATTERN = "^[!-~]{1,200}$"
#: a larger answer is not kept: sent again, the request is answered anew
MAX_KEPT_BYTES = 4 << 20
_RENEW_EVERY_S, _LOOK_EVERY_S = CLAIM_TTL_S / 5, 0.05
_N_THREADS = 4
#: what tells two requests apart beside their bodies
_HEADERS = ("content-type", "accept", "prefer")

Result = TypeVar("Result")
Answer = Callable[[], Awaitable[Response]]


def read_key(request: Request) -> str | None:
    """Return the request's idempotency key, if it has one; raises a `ProblemError` for none."""
    given = request.headers.get(KEY_HEADER)
    if given is not None and not re.fullmatch(KEY_PATTERN, given):
        raise ProblemError(
            422,
            "invalid_key",
            "An idempotency key is 1 to 200 characters of ASCII, without spaces.",
            field=KEY_HEADER,
        )
    return given


class _Head(msgspec.Struct):
    status: int
    headers: dict[str, str]


class Repeats:
    """Answers requests under a key: the first anew, the others with what the first got.

    One that comes while the first is under way waits until it is sure that the gateway that answers
    it lives, which is then told as 409; where it does not, the second takes its place. So a request
    that a proxy sends again after a gateway died under it is answered, not refused.
    """

    def __init__(self, store: IdempotencyStore) -> None:
        self._store = store
        self._owner = uuid.uuid4().hex
        self._threads = ThreadPoolExecutor(_N_THREADS, thread_name_prefix="risk-tasks-keys")

    async def once(self, request: Request, caller: Caller, body: bytes, answer: Answer) -> Response:
        """Return the answer of `answer`, or the first one under the request's key, if it has one.

        Raises a `ProblemError`: 422 where the key is another request's, 409 where that one runs.
        """
        given = read_key(request)
        if given is None:
            return await answer()
        key = _digest(caller.name.encode(), given.encode())
        kept = await self._claim(key, await asyncio.to_thread(_fingerprint, request, body))
        if kept is not None:
            return kept
        with self._renewing(key):
            return await self._answer(key, answer)

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def _claim(self, key: str, fingerprint: str) -> Response | None:
        """Return what was answered first, or None once the claim is ours."""
        seen: int | None = None
        while True:
            match await self._call(self._store.claim, key, fingerprint, self._owner):
                case Claimed():
                    return None
                case Reused():
                    raise ProblemError(
                        422,
                        "key_reused",
                        "This key was sent with another request.",
                        field=KEY_HEADER,
                        remedy="Use a new key for each new request.",
                    )
                case Answered() as kept:
                    head = msgspec.json.decode(kept.head, type=_Head)
                    headers = {**head.headers, "Idempotency-Replayed": "true"}
                    return Response(kept.body, head.status, headers)
                case Running(n_renewals) if seen is not None and n_renewals > seen:
                    raise ProblemError(
                        409,
                        "in_progress",
                        "A request with this key is being answered.",
                        field=KEY_HEADER,
                        remedy="Send it again later for its answer.",
                        retry_after_s=RETRY_AFTER_S,
                    )
                case Running(n_renewals):
                    seen = n_renewals if seen is None else seen
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _answer(self, key: str, answer: Answer) -> Response:
        try:
            try:
                response = await answer()
            except Exception as error:
                response = ProblemError.of(error).response()
            if not _is_final(response):
                await self._call(self._store.release, key, self._owner)
                return response
            headers = {
                name: value for name, value in response.headers.items() if name != "content-length"
            }
            head = msgspec.json.encode(_Head(response.status_code, headers))
            kept = Answered(head, bytes(response.body))
            await self._call(self._store.keep, key, self._owner, kept)
        except TransportError:
            # What was answered is an answer; the claim lapses by itself.
            return response
        return response

    @contextmanager
    def _renewing(self, key: str) -> Iterator[None]:
        task = asyncio.get_running_loop().create_task(self._renew(key))
        try:
            yield
        finally:
            task.cancel()

    async def _renew(self, key: str) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            with suppress(TransportError):
                await self._call(self._store.renew, key, self._owner)

    async def _call(self, function: Callable[..., Result], *args: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)


def _is_final(response: Response) -> bool:
    """Whether another attempt could not be answered better."""
    is_kept = len(response.body) <= MAX_KEPT_BYTES
    return is_kept and response.status_code < 500 and response.status_code not in {408, 409, 429}


def _fingerprint(request: Request, body: bytes) -> str:
    target = f"{request.method} {request.url.path}?{request.url.query}"
    said = [request.headers.get(name, "") for name in _HEADERS]
    return _digest(target.encode(), *(value.encode("latin-1") for value in said), body)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
