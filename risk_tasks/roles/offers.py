"""Offers to speak another protocol than HTTP/1.1, which are not taken up.

Java's HttpClient makes one with its first request on a connection (`Upgrade: h2c`). A server that
goes on as if it had not been made is right (RFC 9110, 7.8); uvicorn passes over the body of such a
request (Kludex/uvicorn#2722).
"""

from __future__ import annotations

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PlainRequests(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, of those too who would rather speak something else."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.parser = _Parser(self)

    def _should_upgrade(self) -> bool:
        """Whether to wait with a request until it is read again; a CONNECT has no other meaning."""
        return bool(self.parser.get_method() != b"CONNECT")

    def decline(self, rest: bytes) -> None:
        """Read the request again without its offer, and what follows it."""
        if not self._should_upgrade():
            return
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b" ".join((method, self.url, b"HTTP/" + version))]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = _Parser(self)
        self.parser.feed_data(b"\r\n".join([*lines, b"", rest]))


class _Parser(httptools.HttpRequestParser):
    """Tells of an offer where there is one, instead of failing."""

    def __init__(self, protocol: PlainRequests) -> None:
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._protocol.decline(data[offer.args[0] :])
