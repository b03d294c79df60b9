"""Messages as they were written once: what is on its way while a version changes stays readable.

Where a format is changed on purpose, `python -m tests.unit.wire.test_golden` writes them anew, and
`wire.framing.VERSION` says whether old readers can still read them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from risk_tasks.wire import answer, request
from risk_tasks.wire.answer import decode_answer, encode_answer
from risk_tasks.wire.request import decode_request, encode_request, pack_portfolios
from tests.unit.wire.messages import ANSWER, EXPLAINED, PORTFOLIOS, TERMS, TURNS
from tests.unit.wire.test_round_trip import assert_same_answer, assert_same_request

FOLDER = Path(__file__).parent / "golden"
REQUEST = pack_portfolios(PORTFOLIOS, TERMS)
LIVE = pack_portfolios(PORTFOLIOS, TERMS, TURNS)
WRITTEN = {
    "request.msgpack": lambda: encode_request(REQUEST),
    "live.msgpack": lambda: encode_request(LIVE),
    "answer.msgpack": lambda: encode_answer(ANSWER),
    "request.arrow": lambda: request.encode_columns(REQUEST),
    "live.arrow": lambda: request.encode_columns(LIVE),
    "answer.arrow": lambda: answer.encode_columns(ANSWER),
    "explained.arrow": lambda: encode_answer(EXPLAINED),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_message_is_written_as_it_was(name):
    """Byte by byte, under the versions of the lock."""
    assert WRITTEN[name]() == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("form", ["msgpack", "arrow"])
def test_an_old_request_is_read(form):
    assert_same_request(decode_request((FOLDER / f"request.{form}").read_bytes()), REQUEST)
    assert_same_request(decode_request((FOLDER / f"live.{form}").read_bytes()), LIVE)


def test_an_old_answer_is_read():
    assert_same_answer(decode_answer((FOLDER / "answer.msgpack").read_bytes()), ANSWER)
    assert_same_answer(decode_answer((FOLDER / "answer.arrow").read_bytes()), ANSWER)
    assert_same_answer(decode_answer((FOLDER / "explained.arrow").read_bytes()), EXPLAINED)


if __name__ == "__main__":
    for name, written in WRITTEN.items():
        (FOLDER / name).write_bytes(written())
