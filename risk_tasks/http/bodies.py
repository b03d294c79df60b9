"""Bodies of requests, bounded before they are held: one by one, and all of them together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request

from risk_tasks.http.problems import RETRY_AFTER_S, ProblemError

JSON_TYPE = "application/json"
ARROW_TYPE = "application/vnd.apache.arrow.stream"
#: who takes longer to send a body has gone away, or means no good
_SENT_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class BodyBounds:
    """The largest body of each type, and what all that are held at once may add up to."""

    json_bytes: int = 8 << 20
    arrow_bytes: int = 64 << 20
    held_bytes: int = 256 << 20

    def of(self, media_type: str) -> int:
        return self.arrow_bytes if media_type == ARROW_TYPE else self.json_bytes


def media_type(request: Request, *known: str) -> str:
    """Return what type the body is of; raises a `ProblemError` for none that is `known`."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in known:
        raise ProblemError(
            415,
            "unsupported_media_type",
            f"{given or 'No type'} is not taken here.",
            field="Content-Type",
            remedy=f"Send {' or '.join(known)}.",
        )
    return given


class Bodies:
    """Reads bodies and counts what is held of them."""

    def __init__(self, bounds: BodyBounds) -> None:
        self._bounds = bounds
        self._held_bytes = 0

    @asynccontextmanager
    async def read(self, request: Request, media_type: str) -> AsyncIterator[bytes]:
        """Yield the body, which counts as held until the block ends.

        Raises a `ProblemError`: 413 for one that is too large, before any of it is read where its
        length is said, 415 for one that is compressed, 503 where too much is held already.
        """
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise ProblemError(
                415,
                "unsupported_media_type",
                "Compressed bodies are not taken.",
                field="Content-Encoding",
                remedy="Send it as it is.",
            )
        bound = self._bounds.of(media_type)
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > bound:
            raise _too_large(bound)
        held = 0
        chunks: list[bytes] = []
        try:
            try:
                async with asyncio.timeout(_SENT_WITHIN_S):
                    async for chunk in request.stream():
                        held += len(chunk)
                        self._held_bytes += len(chunk)
                        self._require_room(held, bound)
                        chunks.append(chunk)
            except TimeoutError:
                raise _too_slow() from None
            body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks.clear()
            yield body
        finally:
            self._held_bytes -= held

    def _require_room(self, held: int, bound: int) -> None:
        if held > bound:
            raise _too_large(bound)
        if self._held_bytes > self._bounds.held_bytes:
            raise ProblemError(
                503,
                "busy",
                "The gateway holds as many bodies as it may.",
                remedy="Send it again later.",
                retry_after_s=RETRY_AFTER_S,
            )


def _too_large(bound: int) -> ProblemError:
    return ProblemError(
        413,
        "too_large",
        f"The body is larger than {bound} bytes.",
        remedy="Send it in parts.",
        # Else the connection would be kept for a body that nobody reads.
        headers={"Connection": "close"},
    )


def _too_slow() -> ProblemError:
    return ProblemError(
        408,
        "slow_body",
        f"The body did not come within {_SENT_WITHIN_S:g} s.",
        headers={"Connection": "close"},
    )
