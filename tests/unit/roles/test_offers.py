"""Requests that come with an offer of another protocol are answered as if they had none."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from risk_tasks.roles.answering import WholeAnswers
from tests.unit.roles.test_answering import Recorder

#: as Java's HttpClient makes it
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAA\r\nUpgrade: h2c\r\n"
WITH_LENGTH = b"Content-Length: 5\r\n\r\nhello"
IN_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
PLAIN = b"GET /next HTTP/1.1\r\nhost: here\r\n\r\n"


def post(body: bytes, offer: bytes = OFFER) -> bytes:
    return b"POST /v1/checks?a=b HTTP/1.1\r\nHost: here\r\n" + offer + body


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what was asked for and the body of it."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    asked = [scope["method"].encode(), scope["path"].encode(), scope["query_string"], body]
    told = b"<" + b"|".join(asked) + b">"
    headers = [(b"content-length", str(len(told)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told})


def told(*packets: bytes) -> list[bytes]:
    """Return what each answer says to requests that came in these packets."""

    async def run() -> bytes:
        config = uvicorn.Config(echo, log_config=None, lifespan="off", ws="none")
        config.load()
        recorder = Recorder()
        recorder.pause_reading = recorder.resume_reading = lambda: None  # type: ignore[method-assign]
        protocol = WholeAnswers(config=config, server_state=ServerState(), app_state={})
        protocol.connection_made(recorder)
        for packet in packets:
            protocol.data_received(packet)
        if recorder.is_closed:
            protocol.connection_lost(None)
        while protocol.server_state.tasks:
            await asyncio.gather(*protocol.server_state.tasks)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return b"".join(recorder.writes)

    said = re.findall(rb"HTTP/1.1 ([45]\d\d)|<(.*?)>", asyncio.run(run()))
    return [status or body for status, body in said]


@pytest.mark.parametrize("offer", [OFFER, b"Connection: upgrade\r\nUpgrade: websocket\r\n", b""])
@pytest.mark.parametrize("body", [WITH_LENGTH, IN_CHUNKS], ids=["length", "chunks"])
def test_the_body_is_read_however_the_request_comes(offer, body):
    """In one packet or cut anywhere, and what comes after it on the connection."""
    request = post(body, offer)
    expected = [b"POST|/v1/checks|a=b|hello"]

    for cut in range(1, len(request)):
        assert told(request[:cut], request[cut:]) == expected, request[:cut]
    assert told(request + PLAIN) == [*expected, b"GET|/next||"]
    assert told(request, request, PLAIN) == [*expected * 2, b"GET|/next||"]


def test_a_request_without_a_body_is_answered_once():
    assert told(b"GET /livez HTTP/1.1\r\nHost: here\r\n" + OFFER + b"\r\n") == [b"GET|/livez||"]


def test_what_is_no_request_is_refused_with_an_offer_too():
    assert told(post(b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")) == [b"400"]
    assert told(b"CONNECT here:80 HTTP/1.1\r\nHost: here\r\n\r\n") == [b"400"]
