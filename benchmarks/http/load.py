"""Many concurrent callers, each with one connection and sequential requests."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass

import uvloop

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """`latencies_ms` of each request, and requests answered per second."""

    latencies_ms: list[float]
    per_s: float


def load(port: int, path: str, body: bytes, *, n_callers: int, n_requests: int) -> Load:
    """Send `n_requests` from each caller; raises on an answer other than 200."""
    return uvloop.run(_all(port, path, body, n_callers, n_requests))


async def _all(port: int, path: str, body: bytes, n_callers: int, n_requests: int) -> Load:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    request, took = head.encode() + body, list[float]()
    started = time.perf_counter()
    await asyncio.gather(*(_caller(port, request, n_requests, took) for _ in range(n_callers)))
    return Load(took, len(took) / (time.perf_counter() - started))


async def _caller(port: int, request: bytes, n_requests: int, took: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(n_requests):
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        assert length is not None
        body = await reader.readexactly(int(length[1]))
        took.append((time.perf_counter() - started) * 1e3)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError((head + body).decode())
    writer.close()
