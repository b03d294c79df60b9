"""Every invalid message of rows raises a `WireError` and no other error."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

from risk_tasks.errors import DecodeError, RiskTasksError, VersionError, WireError
from risk_tasks.model.column import Outcome
from risk_tasks.wire.answer import AnswerHead, decode_answer
from risk_tasks.wire.answer import encode_rows as encode_answer_rows
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import decode_request, pack_portfolios
from risk_tasks.wire.request import encode_rows as encode_request_rows
from tests.unit.wire.messages import ANSWER, ATTEMPTS, PORTFOLIOS, TERMS


def read_answer(data):
    """Read an answer as far as a caller does."""
    answer = decode_answer(data)
    return reports([f"p{row}" for row in range(len(answer))], [answer])


REQUEST = encode_request_rows(pack_portfolios(PORTFOLIOS, TERMS))
ANSWERED = encode_answer_rows(ANSWER)
READERS = {
    "request": (REQUEST, decode_request),
    "live": (encode_request_rows(pack_portfolios(PORTFOLIOS, TERMS, ATTEMPTS)), decode_request),
    "answer": (ANSWERED, read_answer),
}
each_reader = pytest.mark.parametrize(("data", "read"), READERS.values(), ids=READERS.keys())


def rewritten(data, changes):
    """Return the message with these fields changed; a field is named by its index."""
    line, _, body = data.partition(b"\n")
    fields = msgspec.msgpack.decode(body)
    for index, value in changes.items():
        fields[index] = value
    return line + b"\n" + msgspec.msgpack.encode(fields)


@each_reader
def test_an_unchanged_message_is_read(data, read):
    """After `rewritten` without changes, so that the other tests fail only for their changes."""
    read(data)
    assert rewritten(data, {}) == data


@each_reader
def test_an_unknown_version_is_refused_as_such(data, read):
    """Even if other parts are invalid, so that an operator upgrades the older side."""
    for line in (b"/1", b"/3", b"/", b""):
        with pytest.raises(VersionError, match="version"):
            read(data.replace(b"/2\n", line + b"\n", 1))


@each_reader
def test_another_kind_of_message_is_refused(data, read):
    """Another message of risk_tasks, one of another service, one without a kind."""
    body = data.partition(b"\n")[2]
    for line in (b"risk.other/2\n", b"/2\n", b"\n", b""):
        with pytest.raises(DecodeError):
            read(line + body)
    for other, reader in READERS.values():
        if reader is not read:
            with pytest.raises(DecodeError):
                read(other)


@each_reader
def test_a_message_that_is_too_short_or_too_long_is_refused(data, read):
    """Truncated at every byte."""
    for stop in range(len(data)):
        with pytest.raises(WireError):
            read(data[:stop])
    with pytest.raises(DecodeError):
        read(data + b"\x00")


@each_reader
def test_a_damaged_message_raises_only_wire_errors(data, read):
    """Two thousand messages with bytes changed, inserted or removed."""
    dice = random.Random(20)
    for _ in range(2_000):
        damaged = bytearray(data)
        for _ in range(dice.randint(1, 3)):
            index = dice.randrange(len(damaged))
            damaged[index : index + dice.randrange(3)] = dice.randbytes(dice.randrange(3))
        try:
            read(bytes(damaged))
        except WireError:
            pass
        except RiskTasksError as error:
            # A worker's failure is what an answer may hold instead.
            assert "The worker failed" in error.message  # noqa: PT017


def numbers(kind, *values):
    return np.array(values, dtype=kind).tobytes()


BAD_REQUESTS = {
    "offsets that fall": {2: [0, 3, 2, 3]},
    "offsets that start late": {2: [1, 2, 2, 3]},
    "offsets beyond the end": {2: [0, 2, 2, 4]},
    "offsets beyond 64 bits": {2: [0, 2**64 - 1, 2, 3]},
    "offsets too few": {2: [0, 2, 3]},
    "offsets no whole numbers": {2: [0, 2.0, 2, 3]},
    "instruments beyond the named": {3: [0, 2, 1]},
    "instruments below none": {3: [0, -2, 1]},
    "instruments too few": {3: [0, 1]},
    "quantities too few": {5: numbers("<f8", 1.0, 2.0)},
    "quantities of half a number": {5: numbers("<f8", 1.0, 2.0, 3.0)[:-3]},
    "names no texts": {4: [1, 2]},
    "ids too few": {1: ["a", "b"]},
    "ids no texts": {1: [1, 2, 3]},
    "cash too long": {6: [None] * 4},
    "cash a text": {6: ["1", None, None]},
    "nav too short": {7: [None]},
    "tags too short": {8: [{}]},
    "tags no texts": {8: [{"desk": 1}, {}, {}]},
    "too few numbers of an attempt": {9: [[1, 1]]},
    "attempts without a number": {9: [[1], [1], [1]]},
    "terms too few": {0: ["[]", "{}", ""]},
    "measures unknown": {0: ['["luck"]', "{}", "", "reports"]},
    "measures nested without end": {0: ["[" * 200_000, "{}", "", "reports"]},
    "settings of more": {0: ["[]", '{"luck": 1}', "", "reports"]},
    "detail unknown": {0: ["[]", "{}", "", "all"]},
}


@pytest.mark.parametrize("changes", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_an_invalid_request_is_refused(changes):
    """Before a kernel could read beyond the end of an array."""
    with pytest.raises(DecodeError):
        decode_request(rewritten(REQUEST, changes))


NAN = float("nan")
BAD_ANSWERS = {
    "head of another type": {0: [5, None, None, {}, None]},
    "measures more": {1: ["volatility", "value_at_risk"]},
    "measure unknown": {1: ["luck"]},
    "decisions too few": {2: numbers("i1", 1)},
    "decision unknown": {2: numbers("i1", 0, 4)},
    "decision negative": {2: numbers("i1", 0, -1)},
    "counts negative": {3: numbers("<i4", 0, -5)},
    "counts too many": {3: numbers("<i4", 0, 1, 1)},
    "values too few": {4: numbers("<f8", 1.0)},
    "values that are NaN": {4: numbers("<f8", NAN, NAN)},
    "outcomes missing": {5: None},
    "outcome unknown": {5: numbers("i1", 0, 99)},
    "outcomes too few": {5: numbers("i1", 9)},
    "error of no row": {6: {2: ["code", "message", None, None]}},
    "error of other fields": {6: {1: {"kind": "x"}}},
    "breach of no row": {7: {-1: []}},
    "breach without a measure": {7: {0: [{"limit": "l"}]}},
    "gap of no row": {8: {5: []}},
    "ids too few": {9: ["a"]},
    "hashes too few": {10: ["h"]},
    "numbers of rows too few": {11: [1, 250]},
    "limits applied negative": {11: [-1, 250, 0]},
    "limits applied of half a number": {11: [b"\0\0\0", 250, 0]},
    "observations too few": {11: [1, numbers("<i8", 250), 0]},
    "observations below none": {11: [1, numbers("<i8", 250, -2), 0]},
    "observations beyond 64 bits": {11: [1, 2**63, 0]},
    "a short window neither true nor false": {11: [1, 250, numbers("i1", 0, 2)]},
    "finding of no row": {12: {2: []}},
    "finding without a kind": {12: {0: [{"instrument": "XOM"}]}},
}


@pytest.mark.parametrize("changes", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_an_invalid_answer_is_refused(changes):
    """Before a caller reads a report."""
    with pytest.raises(WireError):
        read_answer(rewritten(ANSWERED, changes))


def test_a_number_may_have_a_remark():
    """An outcome beside a number is not damage."""
    remark = numbers("i1", 0, Outcome.WINDOW_TOO_SHORT)

    found = read_answer(rewritten(ANSWERED, {5: remark}))

    assert found[0].measures["volatility"].value == 1.0


def test_a_failure_is_raised_before_other_columns_are_read():
    """A worker that failed sends no columns."""
    failed = msgspec.to_builtins(AnswerHead(failure="MemoryError"))

    with pytest.raises(RiskTasksError, match="The worker failed: MemoryError"):
        decode_answer(rewritten(ANSWERED, {0: failed, 3: b""}))
