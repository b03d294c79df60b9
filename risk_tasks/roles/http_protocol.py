"""HTTP/1.1 of uvicorn with two changes: upgrades are ignored, and writes are gathered.

Java's HttpClient offers HTTP/2 with its first request on a connection (`Upgrade: h2c`). A server
may ignore the offer (RFC 9110, 7.8), but uvicorn then drops the body of the request
(Kludex/uvicorn#2722).
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class GatewayProtocol(HttpToolsProtocol):
    """The HTTP/1.1 protocol of the gateway."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.parser = _Parser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", GatheredWrites(transport))

    def _should_upgrade(self) -> bool:
        """Return whether the request is parsed again without its upgrade; a CONNECT cannot be."""
        return bool(self.parser.get_method() != b"CONNECT")

    def ignore_upgrade(self, rest: bytes) -> None:
        """Parse the request again without its Upgrade header, then the `rest` of the data."""
        if not self._should_upgrade():
            return
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b" ".join((method, self.url, b"HTTP/" + version))]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = _Parser(self)
        self.parser.feed_data(b"\r\n".join([*lines, b"", rest]))


class _Parser(httptools.HttpRequestParser):
    """Reports an upgrade to the protocol instead of raising it."""

    def __init__(self, protocol: GatewayProtocol) -> None:
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._protocol.ignore_upgrade(data[upgrade.args[0] :])


class GatheredWrites:
    """A transport that joins all writes of one iteration of the event loop into one.

    Otherwise a kill between two writes could leave a head without its body. A proxy that has
    forwarded a head cannot send the request to another gateway.
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
