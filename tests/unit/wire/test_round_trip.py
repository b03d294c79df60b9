"""Decoding an encoded object gives an equal object."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_tasks.errors import DecodeError, RiskTasksError
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.registry import MEASURES
from risk_tasks.model.report import GRAVITY, Decision, RiskReport
from risk_tasks.model.scenario import Scenario
from risk_tasks.wire import answer as answer_format
from risk_tasks.wire import request as request_format
from risk_tasks.wire.answer import (
    AnswerBlock,
    AnswerHead,
    decode_answer,
    encode_answer,
    encode_failure,
)
from risk_tasks.wire.documents import (
    limit_set_document,
    portfolio_document,
    read_limit_set,
    read_portfolio,
    read_report,
    read_scenarios,
    read_settings,
    report_document,
    scenarios_document,
    settings_document,
)
from risk_tasks.wire.framing import is_arrow
from risk_tasks.wire.market import decode_market, encode_marks, encode_panel
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import (
    AttemptMark,
    RequestBlock,
    decode_request,
    encode_request,
    pack_portfolios,
)
from tests.unit.model import strategies as model
from tests.unit.wire.messages import AS_OF, EXPLAINED, MARKET, TERMS, answers, terms

NAN = float("nan")
REQUEST_FORMS = (request_format.encode_rows, request_format.encode_columns)
ANSWER_FORMS = (answer_format.encode_rows, answer_format.encode_columns)
#: the document of a report with only the keys that every report has
THIN = {
    "portfolio_id": "p",
    "market_id": None,
    "limits_version": None,
    "as_of": None,
    "status": "ok",
    "decision": "accept",
}

versions = st.integers(0, 2**63 - 1)
attempts = st.builds(AttemptMark, versions, versions)


def through_json(document):
    """Return `document` after a pass through JSON text."""
    return json.loads(json.dumps(document, allow_nan=False))


def assert_same_request(actual, expected):
    """Assert that two blocks have the same content."""
    assert len(actual) == len(expected)
    assert actual.terms == expected.terms
    for name in ("portfolio_ids", "cash", "nav"):
        assert getattr(actual, name).to_pylist() == getattr(expected, name).to_pylist()
    for name in ("offsets", "instrument", "quantity"):
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name))
        assert getattr(actual, name).dtype == getattr(expected, name).dtype
    assert list(actual.instrument_names) == list(expected.instrument_names)
    assert [dict(of_row) for of_row in actual.tags] == [dict(of_row) for of_row in expected.tags]
    assert list(actual.attempts) == list(expected.attempts)


def assert_same_answer(read, answer):
    """Assert that two answers have the same content."""
    assert read.head == answer.head
    assert list(read.decisions) == list(answer.decisions)
    np.testing.assert_array_equal(read.breach_counts, answer.breach_counts)
    assert list(read.columns) == list(answer.columns)
    for name, column in answer.columns.items():
        np.testing.assert_array_equal(read.columns[name].values, column.values)
        np.testing.assert_array_equal(read.columns[name].outcomes, column.outcomes)
        assert read.columns[name].outcomes.dtype == np.int8
    assert read.errors == answer.errors
    assert read.breaches == answer.breaches
    assert read.gaps == answer.gaps
    assert list(read.input_hashes) == list(answer.input_hashes)
    assert read.explanations == answer.explanations
    for name in ("limits_applied", "n_observations", "short"):
        np.testing.assert_array_equal(getattr(read, name), getattr(answer, name))
        assert getattr(read, name).dtype == getattr(answer, name).dtype
    assert read.data_quality == answer.data_quality


@pytest.mark.parametrize("encode", REQUEST_FORMS)
@given(st.lists(st.tuples(model.portfolios, attempts), max_size=5), terms, st.booleans())
def test_decoding_returns_a_block_of_portfolios(encode, rows, terms, live):
    """Names, quantities, optional cash and nav, tags, attempts and options."""
    portfolios, attempts = [row[0] for row in rows], [row[1] for row in rows]
    block = pack_portfolios(portfolios, terms, attempts if live else ())

    assert_same_request(decode_request(encode(block)), block)


@given(st.lists(model.portfolios, max_size=5))
def test_a_block_contains_its_portfolios(portfolios):
    """Row by row and position by position; each instrument is named once in the block."""
    block = pack_portfolios(portfolios, TERMS)

    names = block.instrument_names
    assert len(set(names)) == len(names)
    assert block.portfolio_ids.to_pylist() == [portfolio.id for portfolio in portfolios]
    for row, portfolio in enumerate(portfolios):
        held = slice(block.offsets[row], block.offsets[row + 1])
        pairs = zip(block.instrument[held], block.quantity[held], strict=True)
        assert [(names[i], float(q)) for i, q in pairs] == list(portfolio.positions.items())
        assert block.cash[row].as_py() == portfolio.cash
        assert block.nav[row].as_py() == portfolio.nav
        assert dict(block.tags[row] if block.tags else {}) == dict(portfolio.tags)


@pytest.mark.parametrize("n", [1, 32_766, 32_767, 32_768, 40_000])
def test_instruments_keep_their_codes_at_any_number_of_instruments(n):
    """Codes are as wide as needed; the last code is the first that needs the next width."""
    names = [f"I{index}" for index in range(n)]
    portfolio = Portfolio("p", dict.fromkeys(names, 1.0))

    read = decode_request(encode_request(pack_portfolios([portfolio], TERMS)))

    assert [read.instrument_names[index] for index in read.instrument[[0, -1]]] == [
        names[0],
        names[-1],
    ]
    assert read.instrument.dtype == np.int32
    assert len(set(read.instrument.tolist())) == n


@pytest.mark.parametrize("encode", REQUEST_FORMS)
def test_decoding_returns_invalid_numbers_unchanged(encode):
    """The worker refuses nulls and NaN row by row."""
    block = RequestBlock(
        terms=TERMS,
        portfolio_ids=pa.array(["a", None], pa.string()),
        offsets=np.array([0, 2, 3], dtype=np.int64),
        instrument=np.array([0, -1, 0], dtype=np.int32),
        instrument_names=["AAPL", "held by none"],
        quantity=np.array([NAN, np.inf, 1.0]),
        cash=pa.array([None, NAN], pa.float64()),
        nav=pa.array([-np.inf, None], pa.float64()),
        tags=[{}, {"desk": ""}],
    )

    read = decode_request(encode(block))

    assert np.isnan(read.cash[1].as_py())
    assert read.cash.null_count == 1
    assert read.nav.to_pylist() == [-np.inf, None]
    assert read.portfolio_ids.to_pylist() == ["a", None]
    np.testing.assert_array_equal(read.instrument, [0, -1, 0])
    np.testing.assert_array_equal(read.quantity, [NAN, np.inf, 1.0])
    assert [dict(of_row) for of_row in read.tags] == [{}, {"desk": ""}]


@pytest.mark.parametrize("encode", ANSWER_FORMS)
@given(answers())
def test_decoding_returns_an_answer(encode, answer):
    """Decisions, counts, columns with their outcomes, errors, breaches, gaps and hashes."""
    if encode is answer_format.encode_rows:
        answer = replace(answer, explanations={})

    assert_same_answer(decode_answer(encode(answer)), answer)


@pytest.mark.parametrize("encode", ANSWER_FORMS)
def test_a_number_that_all_rows_share_is_sent_once(encode):
    """The size of a message grows only by the columns that differ."""

    def size_of(**change):
        n = 4_000
        fields = {"limits_applied": np.full(n, 3, np.int32), **change}
        head = AnswerHead("m", AS_OF)
        empty = AnswerBlock(head, np.zeros(n, np.int8), np.zeros(n, np.int32), {}, **fields)
        return len(encode(empty))

    assert abs(size_of(n_observations=np.full(4_000, 250)) - size_of()) < 16
    assert size_of(n_observations=np.arange(4_000)) > size_of() + 32_000


def test_few_checks_are_rows_and_many_are_columns():
    """By the number of checks and of positions; an answer with explanations is columns."""
    for n, held, is_rows in ((256, 0, True), (257, 0, False), (1, 8_192, True), (1, 8_193, False)):
        books = [Portfolio("p", {f"I{one}": 1.0 for one in range(held)})] * n
        assert (not is_arrow(encode_request(pack_portfolios(books, TERMS)))) is is_rows
    for n, is_rows in ((256, True), (257, False)):
        found = AnswerBlock(AnswerHead(), np.zeros(n, np.int8), np.zeros(n, np.int32), {})
        assert (not is_arrow(encode_answer(found))) is is_rows
    assert is_arrow(encode_answer(EXPLAINED))


def test_reading_a_failed_answer_raises_the_failure():
    """As a `RiskTasksError`; the failure must have a reason."""
    with pytest.raises(RiskTasksError, match="The worker failed: MemoryError") as caught:
        decode_answer(encode_failure("MemoryError"))

    assert type(caught.value) is RiskTasksError


@given(model.markets())
def test_decoding_returns_a_market_bit_by_bit(market):
    """With missing returns, without observations, without instruments, with any scenario."""
    read = decode_market(encode_marks(market), encode_panel(market), market.id)

    assert (read.id, read.panel_id) == (market.id, market.panel_id)
    assert (read.as_of, read.instruments) == (market.as_of, market.instruments)
    assert read.prices.tobytes() == market.prices.tobytes()
    assert read.returns.tobytes() == market.returns.tobytes()
    assert read.returns.shape == market.returns.shape
    assert read.scenarios == market.scenarios
    assert (read.dates, read.tags) == (market.dates, market.tags)
    assert read.findings == market.findings
    assert read.earlier_prices == market.earlier_prices
    for name in ("align", "window_days", "max_gap_days", "first_dates", "row_days"):
        assert getattr(read, name) == getattr(market, name), name


@pytest.mark.parametrize(
    "scenario",
    [Scenario({"AAPL": -1}), Scenario({}, others=0), Scenario({"AAPL": np.float64(0.5)})],
    ids=["whole shock", "whole others", "numpy"],
)
def test_decoding_returns_a_market_with_shocks_of_any_number_type(scenario):
    """A shock of -1 equals one of -1.0, so every published market can be loaded."""
    market = MarketSnapshot(
        AS_OF, MARKET.instruments, MARKET.prices, MARKET.returns, scenarios={"crash": scenario}
    )

    read = decode_market(encode_marks(market), encode_panel(market), market.id)

    assert read.id == market.id


def test_a_market_without_dates_tags_and_findings_has_no_such_column():
    """Its bytes are those of the first version of the format."""
    market = MarketSnapshot(
        AS_OF,
        ["AAPL", "XOM"],
        [10.0, 20.0],
        [[0.5, -0.25], [0.0, 0.125], [NAN, 0.25]],
        scenarios={"crash": Scenario({"AAPL": -0.5}, others=-0.25)},
    )

    assert b"dates" not in encode_panel(market)
    assert b"calendar" not in encode_panel(market)
    assert b"tags" not in encode_marks(market)
    assert b"findings" not in encode_marks(market)
    assert b"earlier_prices" not in encode_marks(market)
    assert scenarios_document(market.scenarios) == {
        "crash": {"shocks": {"AAPL": -0.5}, "others": -0.25}
    }


def test_new_marks_are_read_with_the_panel_that_was_sent_before():
    """Only the marks are sent again."""
    marked = MARKET.with_prices(np.array([11.0, 21.0]), as_of=AS_OF)

    read = decode_market(encode_marks(marked), encode_panel(MARKET), marked.id)

    assert read.id == marked.id
    assert read.prices.tolist() == [11.0, 21.0]


def test_a_market_under_another_id_is_refused():
    """The marks of one market do not fit the panel of another."""
    other = MarketSnapshot(AS_OF, ["AAPL", "XOM"], [10.0, 20.0], [[0.0, 0.0]])

    for marks, panel, market_id in (
        (encode_marks(MARKET), encode_panel(MARKET), other.id),
        (encode_marks(MARKET), encode_panel(other), MARKET.id),
        (encode_marks(other), encode_panel(MARKET), MARKET.id),
    ):
        with pytest.raises(DecodeError, match="holds the content of"):
            decode_market(marks, panel, market_id)


@given(model.portfolios)
def test_reading_a_portfolio_document_returns_the_portfolio(portfolio):
    """Through JSON, with its positions in order."""
    read = read_portfolio(through_json(portfolio_document(portfolio)))

    assert read == portfolio
    assert list(read.positions) == list(portfolio.positions)


@settings(max_examples=30)
@given(model.limit_sets())
def test_reading_a_limit_set_document_returns_the_limit_set(limit_set):
    """With the same version, so that a worker uses the published limits."""
    read = read_limit_set(through_json(limit_set_document(limit_set)))

    assert read == limit_set
    assert read.version == limit_set.version


@given(model.settings)
def test_reading_a_settings_document_returns_the_settings(settings):
    """The confidence stays decimal text."""
    assert read_settings(through_json(settings_document(settings))) == settings


@given(st.dictionaries(model.names, model.scenarios() | model.replays(), max_size=3))
def test_reading_a_scenarios_document_returns_the_scenarios(scenarios):
    """Shocks, and the rule for the others or its absence."""
    assert read_scenarios(through_json(scenarios_document(scenarios))) == scenarios


def test_a_document_may_omit_keys_that_have_a_default():
    """Like the constructors of the model."""
    portfolio = read_portfolio({"id": "p", "positions": {"A": 1}})
    limit_set = read_limit_set({"id": "s", "limits": [{"measure": "volatility", "hard": 1}]})

    assert (portfolio.cash, portfolio.nav, dict(portfolio.tags)) == (None, None, {})
    assert limit_set.limits[0].id == "volatility"
    assert (limit_set.limits[0].missing_data, limit_set.limits[0].comparison) == ("reject", "above")
    assert read_settings({}) == MeasureSettings()
    assert read_scenarios({"crash": {}}) == {"crash": Scenario({})}


@settings(max_examples=30)
@given(answers())
def test_the_json_of_a_report_has_no_nan(answer):
    """Nor an infinity, for any outcome, and an error is at the top level."""
    names = [f"p{row}" for row in range(len(answer))]

    for report in reports(names, [decode_answer(encode_answer(answer))]):
        document = through_json(report_document(report))

        assert document["portfolio_id"] == report.portfolio_id
        assert document["status"] == report.status
        assert "error" not in document
        if report.error is None:
            assert "code" not in document
        else:
            for name in ("code", "message", "field", "remedy"):
                assert document[name] == getattr(report.error, name)


@given(answers())
def test_reading_a_report_document_returns_the_report(answer):
    """Every field, with its breaches, gaps, explanation and error, through JSON."""
    names = [f"p{row}" for row in range(len(answer))]

    for report in reports(names, [answer]):
        known = replace(
            report,
            measures=dict(report.measures),
            breaches=tuple(report.breaches),
            not_evaluated=tuple(report.not_evaluated),
        )
        assert read_report(through_json(report_document(report))) == known


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"portfolio_id": "p"}, {**THIN, "decision": "no"}, {**THIN, "breaches": [{}]}],
    ids=str,
)
def test_an_invalid_report_document_is_refused(document):
    """For example one without a decision."""
    with pytest.raises(DecodeError):
        read_report(document)


@settings(max_examples=30)
@given(st.lists(answers(), max_size=3), st.data())
def test_reports_are_in_the_order_of_the_portfolios(several, data):
    """The answers of several blocks are one list, and each row keeps its own values."""
    rows = [(answer, row) for answer in several for row in range(len(answer))]
    names = [f"p{index}" for index in range(len(rows))]

    made = reports(names, several)

    assert [report.portfolio_id for report in made] == names
    for report, (answer, row) in zip(made, rows, strict=True):
        assert report.decision == GRAVITY[answer.decisions[row]]
        assert report.error == answer.errors.get(row)
        assert report.status == ("error" if row in answer.errors else "ok")
        assert list(report.breaches) == list(answer.breaches.get(row, ()))
        assert list(report.not_evaluated) == list(answer.gaps.get(row, ()))
        assert report.market_id == answer.head.market_id
        assert report.limits_version == answer.head.limits_version
        assert report.timings == answer.head.timings
        assert report.limits_applied == answer.limits_applied[row]
        assert report.data_quality == answer.data_quality.get(row, ())
        if row in answer.errors:
            assert report.measures == {}
            assert report.input_hash is None
            continue
        assert report.input_hash == (answer.input_hashes[row] if answer.input_hashes else None)
        for name, column in answer.columns.items():
            outcome, measure = Outcome(column.outcomes[row]), report.measures[name]
            of_past = MEASURES[name.partition("@")[0].partition(":")[0]].of_past
            status, reason = outcome.status, outcome.reason
            if of_past and answer.short[row] and status == "ok":
                status, reason = "degraded", "short_window"
            n_observations = int(answer.n_observations[row]) if of_past else -1
            assert (measure.status, measure.reason) == (status, reason)
            assert measure.value == (column.values[row] if outcome.has_value else None)
            assert measure.n_observations == (None if n_observations == -1 else n_observations)


def test_a_report_has_the_moment_of_its_market():
    """The moment is timezone-aware, and text in JSON."""
    answer = AnswerBlock(AnswerHead("m", AS_OF), np.zeros(1, np.int8), np.zeros(1, np.int32), {})

    report = reports(["p"], [answer])[0]

    assert report.as_of == AS_OF
    assert datetime.fromisoformat(through_json(report_document(report))["as_of"]) == AS_OF


def test_a_measure_of_a_report_has_its_unit():
    """From the registry, with and without a qualifier."""
    names = ["volatility", "value_at_risk@0.95", "gross_leverage", "herfindahl", "stress_loss:x"]
    cell = MeasureColumn(np.ones(1), np.zeros(1, np.int8))
    answer = AnswerBlock(
        AnswerHead(), np.zeros(1, np.int8), np.zeros(1, np.int32), dict.fromkeys(names, cell)
    )

    units = {name: measure.unit for name, measure in reports(["p"], [answer])[0].measures.items()}

    assert units == dict(zip(names, ["ccy", "ccy", "ratio", "fraction", "ccy"], strict=True))


def test_a_rejected_report_is_json_too():
    """Every number is null."""
    report = RiskReport(
        portfolio_id="p",
        market_id=None,
        limits_version=None,
        as_of=datetime(2024, 5, 1, tzinfo=UTC),
        status="error",
        decision=Decision.REJECT,
    )

    document = through_json(report_document(report))

    assert document["decision"] == "reject"
    assert document["market_id"] is None
    assert document["measures"] == {}
    assert msgspec.json.encode(document)
