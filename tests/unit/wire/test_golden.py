"""Stored messages: the code writes the same bytes and reads them.

After an intended change of a format, `python -m tests.unit.wire.test_golden` writes the files
again. Increase `wire.framing.VERSION` if old readers cannot read the new format.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from risk_tasks.wire import answer, request
from risk_tasks.wire.answer import decode_answer, encode_answer
from risk_tasks.wire.request import decode_request, encode_request, pack_portfolios
from tests.unit.wire.messages import ANSWER, ATTEMPTS, EXPLAINED, PORTFOLIOS, TERMS
from tests.unit.wire.test_round_trip import assert_same_answer, assert_same_request

FOLDER = Path(__file__).parent / "golden"
REQUEST = pack_portfolios(PORTFOLIOS, TERMS)
LIVE = pack_portfolios(PORTFOLIOS, TERMS, ATTEMPTS)
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
def test_messages_are_written_as_stored(name):
    """Byte by byte, with the locked versions."""
    assert WRITTEN[name]() == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("form", ["msgpack", "arrow"])
def test_a_stored_request_is_read(form):
    assert_same_request(decode_request((FOLDER / f"request.{form}").read_bytes()), REQUEST)
    assert_same_request(decode_request((FOLDER / f"live.{form}").read_bytes()), LIVE)


def test_a_stored_answer_is_read():
    assert_same_answer(decode_answer((FOLDER / "answer.msgpack").read_bytes()), ANSWER)
    assert_same_answer(decode_answer((FOLDER / "answer.arrow").read_bytes()), ANSWER)
    assert_same_answer(decode_answer((FOLDER / "explained.arrow").read_bytes()), EXPLAINED)


if __name__ == "__main__":
    for name, written in WRITTEN.items():
        (FOLDER / name).write_bytes(written())
