"""Answers that leave in one write: whoever ends a gateway leaves no head without its body."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from risk_tasks.roles.offers import PlainRequests


class GatheredWrites:
    """A transport that sends what one turn of the loop wrote at once, in its order.

    A proxy that has passed on a head cannot ask another gateway any more, so that a head alone
    would be a request lost to a kill between two writes.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))


class WholeAnswers(PlainRequests):
    """HTTP/1.1 as uvicorn speaks it, its writes gathered."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", GatheredWrites(transport))
