"""An answer leaves in one write, so that a kill finds it sent or not begun."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from risk_tasks.roles.answering import WholeAnswers

REQUEST = b"GET / HTTP/1.1\r\nhost: here\r\n%s\r\n"


class Recorder(asyncio.Transport):
    """A connection that keeps each write by itself."""

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


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """An application of ASGI that answers in two parts and a pause."""
    headers = [(b"content-length", b"4")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ab", "more_body": True})
    await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": b"cd"})


def writes_of(request: bytes) -> Recorder:
    async def run() -> Recorder:
        config = uvicorn.Config(answer, log_config=None, lifespan="off")
        config.load()
        recorder = Recorder()
        protocol = WholeAnswers(config=config, server_state=ServerState(), app_state={})
        protocol.connection_made(recorder)
        protocol.data_received(request)
        await asyncio.sleep(0.05)
        return recorder

    return asyncio.run(run())


def test_a_head_leaves_with_the_body_that_is_there():
    recorder = writes_of(REQUEST % b"")

    assert len(recorder.writes) == 2, recorder.writes
    assert recorder.writes[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert recorder.writes[0].endswith(b"\r\n\r\nab")
    assert recorder.writes[1] == b"cd"
    assert not recorder.is_closed


def test_what_was_written_leaves_before_the_connection_is_closed():
    recorder = writes_of(REQUEST % b"connection: close\r\n")

    assert b"".join(recorder.writes).endswith(b"abcd")
    assert recorder.is_closed
