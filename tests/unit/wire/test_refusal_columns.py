"""Every invalid message of columns raises a `WireError` and no other error."""

from __future__ import annotations

import json
import random

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from risk_tasks.errors import (
    DeadLetterError,
    DecodeError,
    InvalidLimitError,
    InvalidMarketError,
    InvalidPortfolioError,
    InvalidSettingsError,
    RiskTasksError,
    VersionError,
    WireError,
)
from risk_tasks.model.column import Outcome
from risk_tasks.wire import answer, request
from risk_tasks.wire.answer import BREACH_TYPE, EXPLANATION_TYPE, decode_answer, encode_failure
from risk_tasks.wire.documents import read_limit_set, read_portfolio, read_scenarios, read_settings
from risk_tasks.wire.market import decode_market, encode_marks, encode_panel
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import decode_request, pack_portfolios
from tests.unit.wire.messages import (
    ANSWER,
    ATTEMPTS,
    EXPLAINED,
    MARKET,
    PORTFOLIOS,
    TERMS,
    head_only,
    rewritten,
)

REQUEST = request.encode_columns(pack_portfolios(PORTFOLIOS, TERMS))
LIVE = request.encode_columns(pack_portfolios(PORTFOLIOS, TERMS, ATTEMPTS))
ANSWERED = answer.encode_columns(ANSWER)
MARKS, PANEL = encode_marks(MARKET), encode_panel(MARKET)


def read_answer(data):
    """Read an answer as far as a caller does."""
    answer = decode_answer(data)
    return reports([f"p{row}" for row in range(len(answer))], [answer])


READERS = {
    "request": (REQUEST, decode_request),
    "live": (
        request.encode_columns(pack_portfolios(PORTFOLIOS, TERMS, ATTEMPTS)),
        decode_request,
    ),
    "answer": (ANSWERED, read_answer),
    "explained": (answer.encode_columns(EXPLAINED), read_answer),
    "marks": (MARKS, lambda data: decode_market(data, PANEL, MARKET.id)),
    "panel": (PANEL, lambda data: decode_market(MARKS, data, MARKET.id)),
}
each_reader = pytest.mark.parametrize(("data", "read"), READERS.values(), ids=READERS.keys())


@each_reader
def test_an_unchanged_message_is_read(data, read):
    """After `rewritten` without changes, so that the other tests fail only for their changes."""
    read(data)
    read(rewritten(data))


@each_reader
def test_an_unknown_version_is_refused_as_such(data, read):
    """Even if other parts are invalid, so that an operator upgrades the older side."""
    for version in ("1", "3", "", None):
        with pytest.raises(VersionError, match="version"):
            read(rewritten(data, metadata={"version": version}))


@each_reader
def test_another_kind_of_message_is_refused(data, read):
    """Another message of risk_tasks, one of another service, one without a kind."""
    for kind in ("risk.other", "", None):
        with pytest.raises(DecodeError):
            read(rewritten(data, metadata={"kind": kind}))
    for other, reader in READERS.values():
        if reader is not read:
            with pytest.raises(DecodeError):
                read(other)


@each_reader
def test_a_message_without_rows_of_data_is_refused(data, read):
    """A schema alone, no bytes, and bytes that are not Arrow's."""
    for nothing in (head_only(data), b"", b"\x00" * 64, b"{}", b"\xff\xff\xff\xff"):
        with pytest.raises(DecodeError):
            read(nothing)


@each_reader
def test_a_truncated_message_is_refused(data, read):
    """At every eighth byte."""
    for stop in range(0, len(data) - 8, 8):
        try:
            read(data[:stop])
        except WireError:
            continue
        # only Arrow's end mark may be missing
        assert stop >= len(data) - 16


@each_reader
def test_a_damaged_message_raises_only_wire_errors(data, read):
    """Five hundred messages with bytes changed, inserted or removed."""
    dice = random.Random(20)
    for _ in range(500):
        try:
            read(_damaged(data, dice))
        except WireError:
            pass
        except RiskTasksError as error:
            # A worker's failure is what an answer may hold instead.
            assert "The worker failed" in error.message  # noqa: PT017


def _damaged(data, dice):
    damaged = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        index = dice.randrange(len(damaged))
        kind = dice.randrange(4)
        if kind == 0:
            damaged[index] = dice.randrange(256)
        elif kind == 1:
            damaged[index] ^= 1 << dice.randrange(8)
        elif kind == 2:
            damaged[index:index] = dice.randbytes(dice.randint(1, 8))
        else:
            del damaged[index : index + dice.randint(1, 8)]
    return bytes(damaged)


@each_reader
def test_random_bytes_are_refused(data, read):
    """With and without the first bytes of an Arrow message."""
    dice = random.Random(21)
    for _ in range(100):
        noise = dice.randbytes(dice.randint(0, 300))
        for start in (b"", data[:8], data[:200]):
            with pytest.raises(WireError):
                read(start + noise)


N = len(PORTFOLIOS)
BAD_REQUESTS = {
    "column missing": {"columns": {"nav": None}},
    "column too many": {"columns": {"extra": pa.nulls(N, pa.float64())}},
    "column of another type": {"columns": {"cash": pa.array([1, 2, 3])}},
    "column by another name": {"columns": {"cash": None, "money": pa.nulls(N, pa.float64())}},
    "measures missing": {"metadata": {"measures": None}},
    "measures no json": {"metadata": {"measures": "["}},
    "measures no list": {"metadata": {"measures": "5"}},
    "measures a text": {"metadata": {"measures": '"volatility"'}},
    "measures unknown": {"metadata": {"measures": '["luck"]'}},
    "measures nested without end": {"metadata": {"measures": "[" * 200_000}},
    "settings missing": {"metadata": {"settings": None}},
    "settings no json": {"metadata": {"settings": "{"}},
    "settings a list": {"metadata": {"settings": "[]"}},
    "settings of more": {"metadata": {"settings": '{"luck": 1}'}},
    "confidence no level": {"metadata": {"settings": '{"confidence": "99"}'}},
    "horizon no number": {"metadata": {"settings": '{"horizon_days": "one"}'}},
    "horizon endless": {"metadata": {"settings": '{"horizon_days": ' + "9" * 5000 + "}"}},
    "horizon 0": {"metadata": {"settings": '{"horizon_days": 0}'}},
    "convention unknown": {"metadata": {"settings": '{"var_convention": "lucky"}'}},
    "precision unknown": {"metadata": {"settings": '{"precision": "float16"}'}},
    "detail missing": {"metadata": {"detail": None}},
    "detail unknown": {"metadata": {"detail": "all"}},
    "limits missing": {"metadata": {"limits": None}},
    "limits no json": {"metadata": {"limits": "{"}},
    "limits no document": {"metadata": {"limits": "[]"}},
    "limits not valid": {"metadata": {"limits": '{"id": "s", "limits": [{"measure": "luck"}]}'}},
    "limits nested without end": {"metadata": {"limits": '{"id":' * 200_000}},
    "limits beyond floats": {
        "metadata": {
            "limits": json.dumps(
                {"id": "s", "limits": [{"measure": "volatility", "hard": 10**400}]}
            )
        }
    },
}


@pytest.mark.parametrize(
    "attempts",
    [
        [None, (1, 1), (1, 1)],
        [(1, None), (1, 1), (1, 1)],
        [(None, 1), (1, 1), (1, 1)],
    ],
)
def test_a_live_portfolio_without_its_attempt_is_refused(attempts):
    """Without a number, the results of its attempts could not be ordered."""
    kind = pa.struct([("version", pa.int64()), ("number", pa.int64())])

    with pytest.raises(DecodeError, match="has no attempt number"):
        decode_request(rewritten(LIVE, columns={"turn": pa.array(attempts, kind)}))


@pytest.mark.parametrize("change", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_an_invalid_request_is_refused(change):
    """The columns must be exactly those of the format, and the options must be valid."""
    with pytest.raises(DecodeError):
        decode_request(rewritten(REQUEST, **change))


def test_invalid_options_are_refused_with_the_reason():
    """The worker's log has the measure that a newer client requested."""
    with pytest.raises(DecodeError, match="Unknown measure 'luck'"):
        decode_request(rewritten(REQUEST, metadata={"measures": '["luck"]'}))


BREACH = {"limit": "l", "measure": "volatility", "observed": 1.0, "threshold": 0.5}
HEAD = {"market_id": "m", "as_of": None, "limits_version": None, "timings": {}, "failure": None}
BAD_ANSWERS = {
    "decision missing": {"columns": {"decision": None}},
    "count missing": {"columns": {"breach_count": None}},
    "count null": {"columns": {"breach_count": pa.nulls(2, pa.int32())}},
    "count wide": {"columns": {"breach_count": pa.array([0, 2**40])}},
    "count fractional": {"columns": {"breach_count": pa.array([0.0, 0.5])}},
    "count negative": {"columns": {"breach_count": pa.array([0, -5], pa.int32())}},
    "breaches null": {"columns": {"breaches": pa.array([[None], None], pa.list_(BREACH_TYPE))}},
    "breaches without contributors": {
        "columns": {"breaches": pa.array([[BREACH], None], pa.list_(BREACH_TYPE))}
    },
    "values missing where outcomes have them": {
        "columns": {"outcome:0": pa.array([0, Outcome.NEGATIVE_VAR], pa.int8())}
    },
    "error a text": {"columns": {"error": pa.array(["a", "b"])}},
    "error of other fields": {"columns": {"error": pa.array([{"kind": "x"}, None])}},
    "breaches numbers": {"columns": {"breaches": pa.array([1, 2])}},
    "gaps of other fields": {"columns": {"not_evaluated": pa.array([[{"x": "y"}], None])}},
    "decision unknown": {"columns": {"decision": pa.array([0, 4], pa.int8())}},
    "decision null": {"columns": {"decision": pa.array([0, None], pa.int8())}},
    "decision a text": {"columns": {"decision": pa.array(["accept", "accept"])}},
    "outcomes missing": {"columns": {"outcome:0": None}},
    "outcome unknown": {"columns": {"outcome:0": pa.array([0, 99], pa.int8())}},
    "outcome negative": {"columns": {"outcome:0": pa.array([0, -1], pa.int8())}},
    "outcome null": {"columns": {"outcome:0": pa.array([9, None], pa.int8())}},
    "outcomes wide": {"columns": {"outcome:0": pa.array([0, 9], pa.int16())}},
    "values missing": {"columns": {"value:0": None}},
    "values of texts": {"columns": {"value:0": pa.array(["1", "1"])}},
    "values narrow": {"columns": {"value:0": pa.array([1.0, 1.0], pa.float32())}},
    "values null": {"columns": {"value:0": pa.array([1.0, None])}},
    "measures missing": {"metadata": {"measures": None}},
    "measures more": {"metadata": {"measures": '["volatility", "value_at_risk"]'}},
    "measure unknown": {"metadata": {"measures": '["luck"]'}},
    "measures no texts": {"metadata": {"measures": "[1]"}},
    "numbers of rows missing": {"metadata": {"same_in_all_rows": None}},
    "limits applied missing": {"columns": {"limits_applied": None}},
    "limits applied null": {"columns": {"limits_applied": pa.array([1, None], pa.int32())}},
    "limits applied wide": {"columns": {"limits_applied": pa.array([1, 0])}},
    "observations below none": {"columns": {"n_observations": pa.array([250, -2])}},
    "a short window neither true nor false": {"columns": {"short": pa.array([0, 2], pa.int8())}},
    "observations of all rows a text": {"metadata": {"same_in_all_rows": '{"short": "no"}'}},
    "observations of all rows below none": {
        "metadata": {"same_in_all_rows": '{"n_observations": -2}'}
    },
    "findings of other fields": {"columns": {"data_quality": pa.array([[{"x": "y"}], None])}},
    "head missing": {"metadata": {"head": None}},
    "head no json": {"metadata": {"head": "{"}},
    "head of another type": {"metadata": {"head": '{"market_id": 5}'}},
    "head of no moment": {"metadata": {"head": json.dumps({**HEAD, "as_of": "yesterday"})}},
}


@pytest.mark.parametrize("change", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_an_invalid_answer_is_refused(change):
    """Before a caller reads a report."""
    with pytest.raises(WireError):
        read_answer(rewritten(ANSWERED, **change))


def test_a_failure_without_a_reason_is_refused():
    """It is a batch without the columns of an answer."""
    empty = rewritten(encode_failure("x"), metadata={"head": json.dumps(HEAD)})

    with pytest.raises(DecodeError):
        decode_answer(empty)


BAD_MARKS = {
    "price missing": {"columns": {"price": None}},
    "price null": {"columns": {"price": pa.array([1.0, None])}},
    "price too few": {"columns": {"price": None, "prices": pa.array([1.0, 2.0])}},
    "price texts": {"columns": {"price": pa.array(["a", "b"])}},
    "moment missing": {"metadata": {"as_of": None}},
    "moment none": {"metadata": {"as_of": "yesterday"}},
    "moment naive": {"metadata": {"as_of": "2024-05-01T12:00:00"}},
    "moment out of range": {"metadata": {"as_of": "0001-01-01T00:00:00+01:00"}},
    "scenarios missing": {"metadata": {"scenarios": None}},
    "scenarios no json": {"metadata": {"scenarios": "{"}},
    "scenarios a list": {"metadata": {"scenarios": "[]"}},
    "scenarios of numbers": {"metadata": {"scenarios": '{"crash": 5}'}},
    "scenario without a number": {
        "metadata": {"scenarios": '{"crash": {"shocks": {"AAPL": NaN}}}'}
    },
    "scenario with an unknown key": {
        "metadata": {
            "scenarios": json.dumps(
                {"crash": {"shocks": {"AAPL": -0.5}, "others": -0.25, "names": {"XOM": 1.0}}}
            )
        }
    },
    "scenario of unknown fields": {"metadata": {"scenarios": '{"crash": {"shock": {}}}'}},
    "replay of a market without dates": {
        "metadata": {"scenarios": '{"crash": {"replay": ["2020-02-20", "2020-03-23"]}}'}
    },
    "tags no json": {"metadata": {"tags": "{"}},
    "tags a list": {"metadata": {"tags": "[]"}},
    "tags of an unknown instrument": {"metadata": {"tags": '{"GOLD": {"sector": "metal"}}'}},
    "tags without a column": {"metadata": {"tags": '{"AAPL": {"sector": "technology"}}'}},
}
BAD_PANELS = {
    "dates no json": {"metadata": {"dates": "["}},
    "dates null": {"metadata": {"dates": "null"}},
    "dates too few": {"metadata": {"dates": '["2024-04-30"]'}},
    "dates invalid": {"metadata": {"dates": '["a", "b", "c"]'}},
    "dates without a column": {"metadata": {"dates": '["2024-04-26", "2024-04-29", "2024-04-30"]'}},
    "instruments missing": {"columns": {"instrument": None}},
    "instrument null": {"columns": {"instrument": pa.array(["AAPL", None])}},
    "instrument twice": {"columns": {"instrument": pa.array(["AAPL", "AAPL"])}},
    "returns missing": {"columns": {"returns": None}},
    "returns flat": {"columns": {"returns": pa.array([1.0, 2.0])}},
    "returns ragged": {"columns": {"returns": pa.array([[1.0], [1.0, 2.0]])}},
    "returns infinite": {"columns": {"returns": pa.array([[1.0] * 3, [np.inf] * 3])}},
    "returns texts": {"columns": {"returns": pa.array([["a"] * 3, ["b"] * 3])}},
    "observations missing": {"metadata": {"n_observations": None}},
    "observations none": {"metadata": {"n_observations": "many"}},
    "observations fewer": {"metadata": {"n_observations": "2"}},
}


@pytest.mark.parametrize("change", BAD_MARKS.values(), ids=BAD_MARKS.keys())
def test_invalid_marks_are_refused(change):
    """The worker reports the market and serves the others."""
    with pytest.raises(WireError):
        decode_market(rewritten(MARKS, **change), PANEL, MARKET.id)


@pytest.mark.parametrize("change", BAD_PANELS.values(), ids=BAD_PANELS.keys())
def test_an_invalid_panel_is_refused(change):
    with pytest.raises(WireError):
        decode_market(MARKS, rewritten(PANEL, **change), MARKET.id)


BAD_DOCUMENTS = [
    (read_portfolio, None, InvalidPortfolioError, "portfolio"),
    (read_portfolio, {}, InvalidPortfolioError, "portfolio"),
    (read_portfolio, {"id": 5, "positions": {}}, InvalidPortfolioError, "portfolio.id"),
    (read_portfolio, {"id": "p", "positions": []}, InvalidPortfolioError, "portfolio.positions"),
    (
        read_portfolio,
        {"id": "p", "positions": {"A": "1"}},
        InvalidPortfolioError,
        "portfolio.positions[...]",
    ),
    (
        read_portfolio,
        {"id": "p", "positions": {"A": True}},
        InvalidPortfolioError,
        "portfolio.positions[...]",
    ),
    (
        read_portfolio,
        {"id": "p", "positions": {}, "cash": "1"},
        InvalidPortfolioError,
        "portfolio.cash",
    ),
    (
        read_portfolio,
        {"id": "p", "positions": {}, "tags": {"desk": 1}},
        InvalidPortfolioError,
        "portfolio.tags[...]",
    ),
    (read_portfolio, {"id": "p", "positions": {"A": float("nan")}}, InvalidPortfolioError, "['A']"),
    (read_portfolio, {"id": "p", "positions": {}, "nav": 1e999}, InvalidPortfolioError, "nav"),
    (read_portfolio, {"id": "p", "positions": {}, "money": 1}, InvalidPortfolioError, "portfolio"),
    (read_limit_set, [], InvalidLimitError, "limits"),
    (read_limit_set, {"id": "s"}, InvalidLimitError, "limits"),
    (read_limit_set, {"id": "s", "limits": [{"hard": 1}]}, InvalidLimitError, "limits[0]"),
    (
        read_limit_set,
        {"id": "s", "limits": [{"measure": "volatility", "hard": "1"}]},
        InvalidLimitError,
        "limits[0].hard",
    ),
    (
        read_limit_set,
        {"id": "s", "limits": [{"measure": "volatility", "hard": 1}, {"measure": "luck"}]},
        InvalidLimitError,
        "limits[1].measure",
    ),
    (
        read_limit_set,
        {"id": "s", "limits": [{"measure": "volatility", "hard": 1}] * 2},
        InvalidLimitError,
        "limits[1].id",
    ),
    (
        read_limit_set,
        {"id": "s", "limits": [{"measure": "volatility", "hard": 1, "wran": 1}]},
        InvalidLimitError,
        "limits[0]",
    ),
    (read_settings, "0.99", InvalidSettingsError, "settings"),
    (read_settings, {"confidence": 99}, InvalidSettingsError, "confidence"),
    (read_settings, {"confidence": None}, InvalidSettingsError, "settings.confidence"),
    (read_settings, {"horizon_days": 1.5}, InvalidSettingsError, "settings.horizon_days"),
    (read_settings, {"horizon_days": 0}, InvalidSettingsError, "horizon_days"),
    (read_settings, {"var_convention": "A"}, InvalidSettingsError, "var_convention"),
    (read_settings, {"horizon": 1}, InvalidSettingsError, "settings"),
    (read_settings, {"degrees_of_freedom": "5"}, InvalidSettingsError, "degrees_of_freedom"),
    (read_settings, {"degrees_of_freedom": 2}, InvalidSettingsError, "degrees_of_freedom"),
    (read_settings, {"n_paths": 1e4}, InvalidSettingsError, "n_paths"),
    (read_settings, {"n_paths": 2}, InvalidSettingsError, "n_paths"),
    (read_settings, {"seed": -1}, InvalidSettingsError, "seed"),
    (read_settings, {"distribution": "cauchy"}, InvalidSettingsError, "distribution"),
]


@pytest.mark.parametrize(("read", "document", "error", "field"), BAD_DOCUMENTS)
def test_an_invalid_document_is_refused_by_its_field(read, document, error, field):
    """An unknown or missing key, and a value of another type, is named by its path."""
    with pytest.raises(error) as caught:
        read(document)

    assert field in caught.value.field
    assert caught.value.message
    assert caught.value.remedy


def test_an_error_text_with_damaged_bytes_is_still_read():
    """A message that killed its workers may be damaged."""
    with pytest.raises(DeadLetterError, match="abandoned: its workers"):
        decode_answer(b"!dead its workers \xff")


BAD_SCENARIOS = {
    "no table": (5, "scenarios"),
    "a number": ({"a": 5}, "scenarios[...]"),
    "shock a text": ({"a": {"shocks": {"X": "low"}}}, "scenarios['a'].shocks[...]"),
    "shock infinite": ({"a": {"shocks": {"X": 1e400}}}, "scenarios['a'].shocks['X']"),
    "shock and move": ({"a": {"shocks": {"X": 1}, "moves": {"X": 1}}}, "scenarios['a'].moves['X']"),
    "unknown key": ({"a": {"shock": {}}}, "scenarios['a']"),
    "replay with shocks": (
        {"a": {"replay": ["2020-02-20", "2020-03-23"], "shocks": {}}},
        "scenarios['a']",
    ),
    "replay of words": ({"a": {"replay": ["then", "now"]}}, "scenarios['a'].replay[0]"),
    "replay of one day": ({"a": {"replay": ["2020-02-20"]}}, "scenarios['a'].replay"),
    "replay backwards": (
        {"a": {"replay": ["2020-03-23", "2020-02-20"]}},
        "scenarios['a'].end",
    ),
    "coverage without a replay": ({"a": {"min_coverage": 0.5}}, "scenarios['a']"),
}


@pytest.mark.parametrize(("document", "field"), BAD_SCENARIOS.values(), ids=BAD_SCENARIOS.keys())
def test_an_invalid_document_of_scenarios_is_refused_by_its_field(document, field):
    """With the name of the scenario."""
    with pytest.raises(InvalidMarketError) as caught:
        read_scenarios(document)

    assert caught.value.field == field


def _explained(**change):
    """Return the explained answer with its one explanation changed."""
    cell = msgspec.to_builtins(EXPLAINED.explanations[0])
    cell = {**cell, **change}
    column = pa.array([cell, None], EXPLANATION_TYPE)
    return rewritten(answer.encode_columns(EXPLAINED), columns={"explanation": column})


@pytest.mark.parametrize(
    "change",
    [
        {"limits": None},
        {"limits": [None]},
        {"limits": [{"limit": "l"}]},
        {"headroom": None},
        {"headroom": [{"buy": 1.0, "buy_bound_by": "l"}]},
        {"headroom": [{"instrument": "A", "buy": 1.0}]},
        {"headroom": [{"instrument": "A", "sell_bound_by": "l"}]},
        {"headroom": [{"instrument": "A", "buy": float("nan"), "buy_bound_by": "l"}]},
        {"headroom": [{"instrument": "A", "buy": -1.0, "buy_bound_by": "l"}]},
        {"not_bounded": None},
        {"not_bounded": [None]},
    ],
)
def test_an_incomplete_explanation_is_refused(change):
    """Most of all headroom without its binding limit, which would read as unlimited."""
    read_answer(_explained())
    with pytest.raises(DecodeError):
        read_answer(_explained(**change))


def test_an_explanation_of_another_kind_is_refused():
    with pytest.raises(DecodeError):
        read_answer(rewritten(ANSWERED, columns={"explanation": pa.array([1, 2])}))
