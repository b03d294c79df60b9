"""Responses are written at once, and requests that offer another protocol are answered."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from risk_tasks.roles.http_protocol import GatewayProtocol

REQUEST = b"GET / HTTP/1.1\r\nhost: here\r\n%s\r\n"
#: the offer of Java's HttpClient
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAA\r\nUpgrade: h2c\r\n"
WITH_LENGTH = b"Content-Length: 5\r\n\r\nhello"
IN_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
PLAIN = b"GET /next HTTP/1.1\r\nhost: here\r\n\r\n"


class Recorder(asyncio.Transport):
    """A connection that keeps each write separately."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.writes: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        assert not self.is_closed
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def two_parts(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application that pauses between the two parts of its response."""
    headers = [(b"content-length", b"4")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ab", "more_body": True})
    await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": b"cd"})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application that responds with the request line and the body."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    parts = [scope["method"].encode(), scope["path"].encode(), scope["query_string"], body]
    text = b"<" + b"|".join(parts) + b">"
    headers = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def served(application: Any, *packets: bytes) -> Recorder:
    """Return the connection after `packets` arrived on it."""

    async def run() -> Recorder:
        config = uvicorn.Config(application, log_config=None, lifespan="off", ws="none")
        config.load()
        recorder = Recorder()
        protocol = GatewayProtocol(config=config, server_state=ServerState(), app_state={})
        protocol.connection_made(recorder)
        for packet in packets:
            protocol.data_received(packet)
        if recorder.is_closed:
            protocol.connection_lost(None)
        while protocol.server_state.tasks:
            await asyncio.gather(*protocol.server_state.tasks)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return recorder

    return asyncio.run(run())


def test_the_head_is_written_together_with_the_available_body():
    recorder = served(two_parts, REQUEST % b"")

    assert len(recorder.writes) == 2, recorder.writes
    assert recorder.writes[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert recorder.writes[0].endswith(b"\r\n\r\nab")
    assert recorder.writes[1] == b"cd"
    assert not recorder.is_closed


def test_pending_writes_are_sent_before_the_connection_closes():
    recorder = served(two_parts, REQUEST % b"connection: close\r\n")

    assert b"".join(recorder.writes).endswith(b"abcd")
    assert recorder.is_closed


def post(body: bytes, upgrade: bytes = UPGRADE) -> bytes:
    return b"POST /v1/checks?a=b HTTP/1.1\r\nHost: here\r\n" + upgrade + body


def echoed(*packets: bytes) -> list[bytes]:
    """Return the echo, or the status of the error, of each response."""
    written = b"".join(served(echo, *packets).writes)
    return [status or text for status, text in re.findall(rb"HTTP/1.1 ([45]\d\d)|<(.*?)>", written)]


@pytest.mark.parametrize(
    "upgrade", [UPGRADE, b"Connection: upgrade\r\nUpgrade: websocket\r\n", b""]
)
@pytest.mark.parametrize("body", [WITH_LENGTH, IN_CHUNKS], ids=["length", "chunks"])
def test_a_body_after_an_upgrade_header_is_read_in_any_split(upgrade, body):
    """In one packet or in two, and so are later requests on the connection."""
    request = post(body, upgrade)
    expected = [b"POST|/v1/checks|a=b|hello"]

    for cut in range(1, len(request)):
        assert echoed(request[:cut], request[cut:]) == expected, request[:cut]
    assert echoed(request + PLAIN) == [*expected, b"GET|/next||"]
    assert echoed(request, request, PLAIN) == [*expected * 2, b"GET|/next||"]


def test_an_upgrade_request_without_a_body_gets_one_response():
    assert echoed(b"GET /livez HTTP/1.1\r\nHost: here\r\n" + UPGRADE + b"\r\n") == [b"GET|/livez||"]


def test_a_malformed_upgrade_request_is_refused():
    assert echoed(post(b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")) == [b"400"]
    assert echoed(b"CONNECT here:80 HTTP/1.1\r\nHost: here\r\n\r\n") == [b"400"]
