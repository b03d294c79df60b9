"""Headers and bodies of requests, their bounds, and errors as problems."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request

from risk_tasks.errors import QueueFullError, ReportTimeoutError, RiskTasksError, TransportError
from risk_tasks.http.bodies import ARROW_TYPE, JSON_TYPE, Bodies, BodyBounds
from risk_tasks.http.checks import Preferences, read_preferences
from risk_tasks.http.problems import ProblemError


def request(*chunks: bytes, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    left = list(chunks)

    async def receive():
        body = left.pop(0) if left else b""
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    return Request({"type": "http", "headers": raw, "method": "POST"}, receive)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Preferences()),
        ({"x_timeout_ms": "250"}, Preferences(0.25)),
        ({"x_timeout_ms": "60000"}, Preferences(60.0)),
        ({"prefer": "wait=2"}, Preferences(2.0)),
        ({"prefer": 'Wait = "3"'}, Preferences(3.0)),
        ({"prefer": "wait=999"}, Preferences(60.0)),
        ({"prefer": "wait=0"}, Preferences()),
        ({"prefer": "respond-async, wait=10"}, Preferences(10.0, respond_async=True)),
        ({"prefer": "luck, wait=soon, return=minimal"}, Preferences()),
        ({"prefer": "wait=9", "x_timeout_ms": "1"}, Preferences(0.001)),
    ],
)
def test_preferences_are_read_from_headers(headers, expected):
    assert read_preferences(request(**headers), 60.0) == expected


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1e3", "60001", "", " ", "9999999999", "²"])
def test_an_invalid_timeout_is_refused(text):
    with pytest.raises(ProblemError, match="expected milliseconds from 1 to 60000") as caught:
        read_preferences(request(x_timeout_ms=text), 60.0)

    assert caught.value.document.field == "X-Timeout-Ms"


BOUNDS = BodyBounds(json_bytes=10, arrow_bytes=20, held_bytes=25)


def json_of(*chunks: bytes, **headers: str) -> Request:
    return request(*chunks, content_type=JSON_TYPE, **headers)


def arrow_of(*chunks: bytes) -> Request:
    return request(*chunks, content_type=ARROW_TYPE)


def read(bodies: Bodies, one: Request) -> tuple[str, bytes]:
    async def body():
        async with bodies.read(one, JSON_TYPE, ARROW_TYPE) as found:
            return found

    return asyncio.run(body())


def status_of(bodies: Bodies, one: Request) -> int:
    with pytest.raises(ProblemError) as caught:
        read(bodies, one)
    return caught.value.status


def test_media_types_are_read_without_parameters():
    bodies = Bodies(BOUNDS)
    one = request(b"{}", content_type="Application/JSON; charset=utf-8")

    assert read(bodies, one) == (JSON_TYPE, b"{}")
    for given in ("", "text/plain", "application/x-ndjson"):
        assert status_of(bodies, request(content_type=given)) == 415


def test_each_media_type_has_its_largest_body():
    bodies = Bodies(BOUNDS)

    assert read(bodies, json_of(b"01234", b"56789"))[1] == b"0123456789"
    assert status_of(bodies, json_of(b"01234", b"567890")) == 413
    assert read(bodies, arrow_of(b"x" * 20)) == (ARROW_TYPE, b"x" * 20)
    assert status_of(bodies, arrow_of(b"x" * 21)) == 413
    assert status_of(bodies, json_of(content_length="11")) == 413
    assert status_of(bodies, json_of(content_encoding="gzip")) == 415


def test_the_sum_of_held_bodies_is_bounded_and_released():
    bodies = Bodies(BOUNDS)

    async def two():
        async with bodies.read(arrow_of(b"x" * 20), ARROW_TYPE):
            with pytest.raises(ProblemError) as caught:
                async with bodies.read(json_of(b"x" * 6), JSON_TYPE):
                    pass
            return caught.value

    busy = asyncio.run(two())
    assert (busy.status, busy.headers["Retry-After"]) == (503, "1")
    for _ in range(3):
        assert status_of(bodies, json_of(b"x" * 11)) == 413
        assert read(bodies, arrow_of(b"x" * 20))[1]


def test_a_timeout_while_a_body_is_held_is_not_a_slow_body():
    async def late():
        async with Bodies(BOUNDS).read(json_of(b"x"), JSON_TYPE):
            raise TimeoutError

    with pytest.raises(TimeoutError):
        asyncio.run(late())


def test_errors_become_problems_with_their_codes():
    full = ProblemError.of(QueueFullError(depth=1, capacity=1, retry_after_s=2.3))
    late = ProblemError.of(ReportTimeoutError("Late.", check_id="x.1"))

    assert (full.status, full.code, full.headers["Retry-After"]) == (429, "queue_full", "3")
    assert (late.status, late.document.check_id) == (504, "x.1")
    assert "Retry-After" not in late.headers
    unreachable = ProblemError.of(TransportError())
    assert (unreachable.status, unreachable.headers["Retry-After"]) == (503, "1")
    assert ProblemError.of(RiskTasksError()).status == 500


def test_a_foreign_error_discloses_nothing():
    """Its traceback is in the log."""
    assert "secret" not in str(ProblemError.of(ValueError("secret")).document)
