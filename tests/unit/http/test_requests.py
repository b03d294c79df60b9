"""What stands beside a body, and its bounds."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request

from risk_tasks.errors import QueueFullError, ReportTimeoutError, RiskTasksError, TransportError
from risk_tasks.http.bodies import ARROW_TYPE, JSON_TYPE, Bodies, BodyBounds, media_type
from risk_tasks.http.preferences import Preferences, read_preferences
from risk_tasks.http.problems import ProblemError


def asked(chunks: tuple[bytes, ...] = (), **headers: str) -> Request:
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
def test_preferences_are_read(headers, expected):
    assert read_preferences(asked(**headers), 60.0) == expected


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1e3", "60001", "", " ", "9999999999", "²"])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(ProblemError) as caught:
        read_preferences(asked(x_timeout_ms=text), 60.0)

    assert caught.value.document.field == "X-Timeout-Ms"


def test_types_are_read_without_their_parameters():
    request = asked(content_type="Application/JSON; charset=utf-8")

    assert media_type(request, JSON_TYPE, ARROW_TYPE) == JSON_TYPE
    for given in ("", "text/plain", "application/x-ndjson"):
        with pytest.raises(ProblemError) as caught:
            media_type(asked(content_type=given), JSON_TYPE)
        assert caught.value.status == 415


BOUNDS = BodyBounds(json_bytes=10, arrow_bytes=20, held_bytes=25)


def read(bodies: Bodies, request: Request, kind: str = JSON_TYPE) -> bytes:
    async def body():
        async with bodies.read(request, kind) as found:
            return found

    return asyncio.run(body())


def refused(bodies: Bodies, request: Request, kind: str = JSON_TYPE) -> int:
    with pytest.raises(ProblemError) as caught:
        read(bodies, request, kind)
    return caught.value.status


def test_a_body_may_be_as_large_as_its_type_allows():
    bodies = Bodies(BOUNDS)

    assert read(bodies, asked((b"01234", b"56789"))) == b"0123456789"
    assert refused(bodies, asked((b"01234", b"567890"))) == 413
    assert read(bodies, asked((b"x" * 20,)), ARROW_TYPE) == b"x" * 20
    assert refused(bodies, asked((b"x" * 21,)), ARROW_TYPE) == 413
    assert refused(bodies, asked(content_length="11")) == 413
    assert refused(bodies, asked(content_encoding="gzip")) == 415


def test_what_is_held_at_once_is_bounded_and_given_back():
    bodies = Bodies(BOUNDS)

    async def two():
        async with bodies.read(asked((b"x" * 20,)), ARROW_TYPE):
            with pytest.raises(ProblemError) as caught:
                async with bodies.read(asked((b"x" * 6,)), JSON_TYPE):
                    pass
            return caught.value

    busy = asyncio.run(two())
    assert (busy.status, busy.headers["Retry-After"]) == (503, "1")
    for _ in range(3):
        assert refused(bodies, asked((b"x" * 11,))) == 413
        assert read(bodies, asked((b"x" * 20,)), ARROW_TYPE)


def test_a_failure_while_a_body_is_held_is_no_slow_body():
    async def late():
        async with Bodies(BOUNDS).read(asked((b"x",)), JSON_TYPE):
            raise TimeoutError

    with pytest.raises(TimeoutError):
        asyncio.run(late())


def test_errors_are_problems_with_their_codes():
    full = ProblemError.of(QueueFullError(depth=1, capacity=1, retry_after_s=2.3))
    late = ProblemError.of(ReportTimeoutError("Late.", check_id="x.1"))

    assert (full.status, full.code, full.headers["Retry-After"]) == (429, "queue_full", "3")
    assert (late.status, late.document.check_id) == (504, "x.1")
    assert ProblemError.of(TransportError()).status == 503
    assert ProblemError.of(RiskTasksError()).status == 500


def test_what_is_none_of_ours_tells_nothing():
    """A traceback is for the log."""
    assert "secret" not in str(ProblemError.of(ValueError("secret")).document)
