"""Idempotency keys: repeated requests under one key get the response of the first."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from risk_tasks.errors import NotReplicatedError, TransportError
from risk_tasks.http.problems import ProblemError
from risk_tasks.keys import CLAIM_TTL_S
from risk_tasks.store.idempotency import ClaimState, IdempotencyStore

log = logging.getLogger("risk_tasks")

KEY_HEADER = "Idempotency-Key"
KEY_PATTERN = "^[!-~]{1,200}$"
#: a larger response is not stored: a repeated request is then computed again
MAX_STORED_BYTES = 4 << 20
_RENEW_EVERY_S, _POLL_EVERY_S = CLAIM_TTL_S / 5, 0.05
_N_THREADS = 4
#: the headers that distinguish two requests, beside target and body
_HEADERS = ("content-type", "accept", "prefer")

Result = TypeVar("Result")


def read_key(request: Request) -> str | None:
    """Return the idempotency key or None. Raises `ProblemError` for an invalid key."""
    key = request.headers.get(KEY_HEADER)
    if key is not None and not re.fullmatch(KEY_PATTERN, key):
        raise ProblemError(
            422,
            "invalid_key",
            f"{key[:40]!r} is not an idempotency key: expected 1 to 200 ASCII characters "
            "without spaces.",
            field=KEY_HEADER,
            remedy="Use a UUID, for example.",
        )
    return key


class _Head(msgspec.Struct):
    status: int
    headers: dict[str, str]


class Idempotency:
    """Computes the first response under a key, stores it, and returns it to repeated requests.

    A claim protects the computation; its owner renews it. A repeated request polls the claim until
    it either sees a renewal, which gives 409, or claims the key itself because the owner has died.
    A request that a proxy sends again after the death of a gateway is therefore answered.
    """

    def __init__(self, store: IdempotencyStore) -> None:
        self._store = store
        self._owner = uuid.uuid4().hex
        self._threads = ThreadPoolExecutor(_N_THREADS, thread_name_prefix="risk-tasks-keys")

    async def respond(
        self, request: Request, body: bytes, compute: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Return the stored response of the request's key, or that of `compute`.

        Raises `ProblemError`: 422 if the key belongs to a different request, 409 while that request
        is in progress.
        """
        given = read_key(request)
        if given is None:
            return await compute()
        key = _digest(request.state.caller.encode(), given.encode())
        stored = await self._claim(key, await asyncio.to_thread(_fingerprint, request, body))
        if stored is not None:
            return stored
        async with self._renewing(key):
            try:
                response = await compute()
            except Exception as error:
                response = ProblemError.of(error).response()
            try:
                await self._settle(key, response)
            except NotReplicatedError as error:
                response = ProblemError.of(error).response()
            except TransportError:
                # A response is valid even if it cannot be stored: its claim then expires.
                log.warning("idempotency.not_stored")
            return response

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def _claim(self, key: str, fingerprint: str) -> Response | None:
        """Return the stored response, or None once this gateway owns the claim."""
        first_seen: int | None = None
        while True:
            claim = await self._call(self._store.claim, key, fingerprint, self._owner)
            match claim.state:
                case ClaimState.CLAIMED:
                    return None
                case ClaimState.REUSED:
                    raise ProblemError(
                        422,
                        "key_reused",
                        "The idempotency key belongs to a different request.",
                        field=KEY_HEADER,
                        remedy="Use a new key for each new request.",
                    )
                case ClaimState.ANSWERED:
                    stored = msgspec.json.decode(claim.head, type=_Head)
                    headers = {**stored.headers, "Idempotency-Replayed": "true"}
                    return Response(claim.body, stored.status, headers)
                case ClaimState.RUNNING:
                    if first_seen is not None and claim.n_renewals > first_seen:
                        raise ProblemError(
                            409,
                            "in_progress",
                            "A request with this idempotency key is in progress.",
                            field=KEY_HEADER,
                            remedy="Send the request again later to get its response.",
                        )
                    first_seen = claim.n_renewals if first_seen is None else first_seen
            await asyncio.sleep(_POLL_EVERY_S)

    async def _settle(self, key: str, response: Response) -> None:
        """Store the response, or release the claim where a retry could have a better one."""
        is_retryable = response.status_code >= 500 or response.status_code in {408, 409, 429}
        if is_retryable or len(response.body) > MAX_STORED_BYTES:
            await self._call(self._store.release, key, self._owner)
            return
        headers = {
            name: text for name, text in response.headers.items() if name != "content-length"
        }
        head = msgspec.json.encode(_Head(response.status_code, headers))
        await self._call(self._store.keep, key, self._owner, head, bytes(response.body))

    @asynccontextmanager
    async def _renewing(self, key: str) -> AsyncIterator[None]:
        async def renew() -> None:
            while True:
                await asyncio.sleep(_RENEW_EVERY_S)
                with suppress(TransportError):
                    await self._call(self._store.renew, key, self._owner)

        task = asyncio.create_task(renew())
        try:
            yield
        finally:
            task.cancel()

    async def _call(self, function: Callable[..., Result], *args: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)


def _fingerprint(request: Request, body: bytes) -> str:
    target = f"{request.method} {request.url.path}?{request.url.query}"
    headers = [request.headers.get(name, "").encode("latin-1") for name in _HEADERS]
    return _digest(target.encode(), *headers, body)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
