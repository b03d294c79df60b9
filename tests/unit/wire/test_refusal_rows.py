"""Invalid messages of rows raise `WireError` and nothing else."""

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
from tests.unit.wire.messages import ANSWER, PORTFOLIOS, TERMS, TURNS


def read_answer(data):
    """Read an answer as far as a caller sees it."""
    answer = decode_answer(data)
    return reports([f"p{row}" for row in range(len(answer))], [answer])


REQUEST = encode_request_rows(pack_portfolios(PORTFOLIOS, TERMS))
ANSWERED = encode_answer_rows(ANSWER)
READERS = {
    "request": (REQUEST, decode_request),
    "live": (encode_request_rows(pack_portfolios(PORTFOLIOS, TERMS, TURNS)), decode_request),
    "answer": (ANSWERED, read_answer),
}
each_reader = pytest.mark.parametrize(("data", "read"), READERS.values(), ids=READERS.keys())


def rewritten(data, changes):
    """Return the message with these of its fields, by place, changed."""
    line, _, body = data.partition(b"\n")
    fields = msgspec.msgpack.decode(body)
    for place, value in changes.items():
        fields[place] = value
    return line + b"\n" + msgspec.msgpack.encode(fields)


@each_reader
def test_a_valid_message_is_read(data, read):
    """Rewriting alone changes nothing: what follows is refused for what it changes."""
    read(data)
    assert rewritten(data, {}) == data


@each_reader
def test_an_unknown_version_raises_a_version_error(data, read):
    """So that an operator upgrades the older side, whatever else the message holds."""
    for line in (b"/2", b"/0", b"/", b""):
        with pytest.raises(VersionError, match="version"):
            read(data.replace(b"/1\n", line + b"\n", 1))


@each_reader
def test_another_kind_of_message_is_refused(data, read):
    """One of ours for something else, one of another service, one without a kind."""
    body = data.partition(b"\n")[2]
    for line in (b"risk.other/1\n", b"/1\n", b"\n", b""):
        with pytest.raises(DecodeError):
            read(line + body)
    for other, reader in READERS.values():
        if reader is not read:
            with pytest.raises(DecodeError):
                read(other)


@each_reader
def test_a_message_cut_short_or_too_long_is_refused(data, read):
    """At every byte of it."""
    for stop in range(len(data)):
        with pytest.raises(WireError):
            read(data[:stop])
    with pytest.raises(DecodeError):
        read(data + b"\x00")


@each_reader
def test_no_damage_raises_anything_but_a_wire_error(data, read):
    """Two thousand messages with bytes changed, put in or taken out."""
    dice = random.Random(20)
    for _ in range(2_000):
        damaged = bytearray(data)
        for _ in range(dice.randint(1, 3)):
            place = dice.randrange(len(damaged))
            damaged[place : place + dice.randrange(3)] = dice.randbytes(dice.randrange(3))
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
    "offsets that begin late": {2: [1, 2, 2, 3]},
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
    "turns too short": {9: [[1, 1]]},
    "turns without a number": {9: [[1], [1], [1]]},
    "terms too few": {0: ["[]", "{}", ""]},
    "measures unknown": {0: ['["luck"]', "{}", "", "reports"]},
    "measures nested without end": {0: ["[" * 200_000, "{}", "", "reports"]},
    "settings of more": {0: ["[]", '{"luck": 1}', "", "reports"]},
    "detail unknown": {0: ["[]", "{}", "", "all"]},
}


@pytest.mark.parametrize("changes", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_a_request_of_another_shape_is_refused(changes):
    """Before a kernel reads beyond the end of anything."""
    with pytest.raises(DecodeError):
        decode_request(rewritten(REQUEST, changes))


NAN = float("nan")
BAD_ANSWERS = {
    "head of another type": {0: [5, None, None, {}, None]},
    "measures more": {1: ["volatility", "value_at_risk"]},
    "measure unknown": {1: ["luck"]},
    "decisions too few": {2: numbers("i1", 1)},
    "decision unknown": {2: numbers("i1", 0, 4)},
    "decision below all": {2: numbers("i1", 0, -1)},
    "counts below none": {3: numbers("<i4", 0, -5)},
    "counts too many": {3: numbers("<i4", 0, 1, 1)},
    "values too few": {4: numbers("<f8", 1.0)},
    "values that are none": {4: numbers("<f8", NAN, NAN)},
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
}


@pytest.mark.parametrize("changes", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_an_answer_of_another_shape_is_refused(changes):
    """Before any caller sees a report of it."""
    with pytest.raises(WireError):
        read_answer(rewritten(ANSWERED, changes))


def test_a_number_that_is_none_may_say_why():
    """What `outcomes` tells of is no damage."""
    told = numbers("i1", 0, Outcome.WINDOW_TOO_SHORT)

    found = read_answer(rewritten(ANSWERED, {5: told}))

    assert found[0].measures["volatility"].value == 1.0


def test_a_failure_is_raised_whatever_else_is_told():
    """A worker that could not answer has no columns."""
    failed = msgspec.to_builtins(AnswerHead(failure="MemoryError"))

    with pytest.raises(RiskTasksError, match="The worker failed: MemoryError"):
        decode_answer(rewritten(ANSWERED, {0: failed, 3: b""}))
