"""An invalid portfolio is an error of its own row, and does not affect the others."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_tasks.errors import TransportError, WireError
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import GRAVITY, Stamp
from risk_tasks.service import MarketCache, Service
from risk_tasks.wire.answer import decode_answer
from risk_tasks.wire.framing import MAX_ROWS_CHECKS
from risk_tasks.wire.request import Detail, encode_columns, encode_request, pack_portfolios
from tests.unit.service.support import (
    AS_OF,
    BOOKS,
    MARKET,
    answer_of,
    make_service,
    make_terms,
    raw,
    report_of,
    reports_of,
)

NAN, INF = float("nan"), float("inf")
AAPL, MSFT, XOM, GOLD, NOBODY = 0, 1, 2, 3, -1

# What is wrong with a row -> the code and the field of its error, and a part of its message.
BAD_ROWS = {
    "unknown instrument": (
        ("p", [(AAPL, 1.0), (GOLD, 1.0)], None, None),
        ("unknown_instrument", "positions['GOLD']", "GOLD has no price in this market."),
    ),
    "unknown instrument, none of it": (
        ("p", [(GOLD, 0.0)], None, None),
        ("unknown_instrument", "positions['GOLD']", "GOLD"),
    ),
    "instrument twice": (
        ("p", [(AAPL, 1.0), (MSFT, 2.0), (AAPL, 3.0)], None, None),
        ("invalid_portfolio", "positions['AAPL']", "twice"),
    ),
    "last instrument twice": (
        ("p", [(XOM, 1.0), (XOM, 1.0)], None, None),
        ("invalid_portfolio", "positions['XOM']", "twice"),
    ),
    "quantity nan": (
        ("p", [(AAPL, 1.0), (MSFT, NAN)], None, None),
        ("invalid_portfolio", "positions['MSFT']", "nan is not a finite"),
    ),
    "quantity infinite": (
        ("p", [(XOM, -INF)], None, None),
        ("invalid_portfolio", "positions['XOM']", "-inf is not a finite"),
    ),
    "instrument null": (
        ("p", [(AAPL, 1.0), (NOBODY, 1.0)], None, None),
        ("invalid_portfolio", "positions[].instrument", "has no instrument"),
    ),
    "cash nan": (
        ("p", [(AAPL, 1.0)], NAN, 5.0),
        ("invalid_portfolio", "cash", "nan is not a finite"),
    ),
    "cash infinite": (
        ("p", [(AAPL, 1.0)], INF, None),
        ("invalid_portfolio", "cash", "inf is not a finite"),
    ),
    "nav nan": (("p", [(AAPL, 1.0)], 5.0, NAN), ("invalid_portfolio", "nav", "nan is not")),
    "nav infinite": (("p", [], None, -INF), ("invalid_portfolio", "nav", "-inf is not")),
    "no id": ((None, [(AAPL, 1.0)], None, None), ("invalid_portfolio", "portfolio_id", "no id")),
}
GOOD_ROWS = [
    ("before", [(AAPL, 100.0), (MSFT, -50.0)], 1000.0, None),
    ("between", [], None, 5.0),
    ("after", [(XOM, 3.0), (AAPL, -1.0), (MSFT, 0.0)], None, 700.0),
]
LIMITS = LimitSet("s", [Limit("gross_exposure", hard=50.0), Limit("gross_leverage", hard=9.0)])


@pytest.mark.parametrize(("row", "expected"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_row_has_an_error_with_code_and_field(row, expected):
    """It has no measures and no breaches, and its decision is reject; other rows are computed."""
    good = GOOD_ROWS[0]
    alone = answer_of(raw(good, terms=make_terms(limits=LIMITS)))

    answer = answer_of(raw(good, row, good, terms=make_terms(limits=LIMITS)))

    code, field, message = expected
    assert list(answer.errors) == [1]
    assert (answer.errors[1].code, answer.errors[1].field) == (code, field)
    assert message in answer.errors[1].message
    assert answer.errors[1].remedy
    assert GRAVITY[answer.decisions[1]] == "reject"
    assert answer.breach_counts[1] == 0
    assert 1 not in answer.breaches
    assert 1 not in answer.gaps
    for name, column in answer.columns.items():
        assert np.isnan(column.values[1])
        assert not column.has_value[1]
        for neighbour in (0, 2):
            assert column.values[neighbour].tobytes() == alone.columns[name].values[0].tobytes()


@settings(max_examples=25)
@given(st.lists(st.sampled_from([*GOOD_ROWS, *(row for row, _ in BAD_ROWS.values())]), max_size=8))
def test_bad_rows_do_not_affect_the_others(rows):
    """A good row has the same bits, decision and breaches as alone, in any row."""
    assert_as_alone(rows)


def test_a_row_has_the_same_bits_in_a_block_of_many():
    """A large block is sent as columns, and a single check as a row."""
    every = [*GOOD_ROWS, *(row for row, _ in BAD_ROWS.values())]

    assert_as_alone([every[i % len(every)] for i in range(MAX_ROWS_CHECKS + 10)])


def assert_as_alone(rows):
    """Assert that the answer of each row equals that of a block with this row alone."""
    terms = make_terms(limits=LIMITS)
    service = make_service()

    together = answer_of(raw(*rows, terms=terms), service=service)

    for i, row in enumerate(rows):
        alone = answer_of(raw(row, terms=terms), service=service)
        assert (i in together.errors) is (0 in alone.errors) is (row not in GOOD_ROWS)
        assert together.decisions[i] == alone.decisions[0]
        assert together.breach_counts[i] == alone.breach_counts[0]
        assert together.breaches.get(i) == alone.breaches.get(0)
        assert together.gaps.get(i) == alone.gaps.get(0)
        assert together.errors.get(i) == alone.errors.get(0)
        for name, column in alone.columns.items():
            assert together.columns[name].values[i].tobytes() == column.values[0].tobytes()
            assert together.columns[name].outcomes[i] == column.outcomes[0]
        if row in GOOD_ROWS:
            assert together.input_hashes[i] == alone.input_hashes[0]


FIRST_FAULTS = [
    # the first of several unknown instruments
    (("p", [(AAPL, 1.0), (GOLD, 1.0), (4, 1.0)], None, None), "positions['GOLD']"),
    # the first of several bad quantities
    (("p", [(AAPL, NAN), (MSFT, NAN)], None, None), "positions['AAPL']"),
    # a row without an id cannot be identified
    ((None, [(GOLD, NAN)], NAN, NAN), "portfolio_id"),
]


@pytest.mark.parametrize(("row", "field"), FIRST_FAULTS)
def test_one_of_several_errors_is_reported(row, field):
    """The first bad position; a missing id comes before all others."""
    answer = answer_of(raw(row, names=("AAPL", "MSFT", "XOM", "GOLD", "SILVER")))

    assert answer.errors[0].field == field


def test_an_error_beside_empty_portfolios_is_that_of_its_row():
    """Not of an empty row beside it."""
    empty, bad = ("e", [], None, None), ("b", [(AAPL, 1.0), (MSFT, NAN)], None, None)
    twice = ("t", [(AAPL, 1.0), (AAPL, NAN)], None, None)

    answer = answer_of(raw(empty, empty, bad, empty, twice, empty))

    assert sorted(answer.errors) == [2, 4]


def test_an_unknown_instrument_that_no_portfolio_holds_does_not_matter():
    """A block has the names of the whole call."""
    assert answer_of(raw(*GOOD_ROWS)).errors == {}


def test_without_a_market_every_row_is_an_error():
    """Also with an unknown one; the remedy says how to publish one."""
    for market in ("", "0" * 64):
        for report in reports_of(BOOKS, market=market, limits=LIMITS):
            assert (report.status, report.code, report.decision) == ("error", "no_market", "reject")
            assert report.error.field == "market"
            assert report.market_id == (market or None)
            assert "risk-tasks market publish" in report.error.remedy
            assert report.measures == {}
            assert report.input_hash is None


def test_a_market_without_instruments_has_only_unknown_ones():
    """Every portfolio with positions has an error, and the empty one has zeros."""
    nothing = MarketSnapshot(AS_OF, [], [], np.empty((250, 0)))
    service = make_service(markets=[nothing])

    found = reports_of(BOOKS, service=service, market=nothing.id)

    assert [report.code for report in found] == [
        *("unknown_instrument", "unknown_instrument", None, "unknown_instrument")
    ]
    assert found[2].measures["gross_exposure"].value == 0.0


def test_a_requested_scenario_that_the_market_lacks_is_an_error():
    """Every row has it, with the name; none is computed."""
    for report in reports_of(BOOKS, measures=["volatility", "stress_loss:flood"]):
        assert (report.code, report.decision) == ("unknown_scenario", "reject")
        assert report.error.field == "measures"
        assert "'flood'" in report.error.message


def test_a_limit_on_a_scenario_that_the_market_lacks_is_not_evaluated():
    """The check is computed; the `missing_data` of the limit decides."""
    decisions = {}
    for missing_data in ("reject", "warn", "skip"):
        limit = Limit("stress_loss:flood", hard=1.0, missing_data=missing_data)
        report = report_of(BOOKS[0], limits=LimitSet("s", [limit]))
        decisions[missing_data] = report.decision
        assert report.status == "ok"
        assert [(gap.limit, gap.reason) for gap in report.not_evaluated] == [
            ("stress_loss:flood", "unknown_scenario")
        ]
        assert report.not_evaluated[0].missing_data == missing_data
        assert report.measures["stress_loss:flood"].status == "undefined"

    assert decisions == {"reject": "reject", "warn": "warn", "skip": "none"}


def test_limits_that_cannot_be_loaded_are_an_error_of_every_row():
    """A check never ignores its limits."""
    for report in reports_of(BOOKS, version="0" * 64):
        assert (report.code, report.decision) == ("unknown_limit_set", "reject")
        assert report.limits_version == "0" * 64


def test_an_error_of_the_block_comes_before_errors_of_rows():
    """Without a market, positions cannot be validated."""
    answer = answer_of(raw(GOOD_ROWS[0], BAD_ROWS["cash nan"][0]), market="")

    assert [answer.errors[row].code for row in (0, 1)] == ["no_market", "no_market"]


@pytest.mark.parametrize("detail", list(Detail))
def test_errors_are_in_every_detail(detail):
    """A summary leaves out breaches, but not errors."""
    terms = make_terms(limits=LIMITS, detail=detail)

    answer = answer_of(raw(GOOD_ROWS[0], BAD_ROWS["cash nan"][0], terms=terms))

    assert answer.errors[1].field == "cash"
    assert [GRAVITY[rank] for rank in answer.decisions] == ["reject", "reject"]
    assert answer.breach_counts.tolist() == [1, 0]


def test_an_empty_block_has_an_empty_answer():
    """With a market and without one."""
    assert len(answer_of(raw())) == 0
    assert len(answer_of(raw(), market="")) == 0
    assert reports_of([]) == []


def test_a_damaged_request_is_refused_or_answered():
    """Two hundred requests with one byte changed: those that can be decoded have an answer."""
    payload = encode_request(raw(*GOOD_ROWS, terms=make_terms(limits=LIMITS)))
    dice, service = random.Random(3), make_service()
    n_answered = 0

    for _ in range(200):
        damaged = bytearray(payload)
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        try:
            service.run(bytes(damaged), Stamp(MARKET.id))
        except WireError:
            continue
        n_answered += 1

    assert 0 < n_answered < 200


def test_positions_before_the_first_portfolio_are_refused_or_answered():
    """Valid in Arrow, but not sent by our clients; a bad row beside it changes nothing."""
    bad = BAD_ROWS["cash nan"][0]
    payload = encode_columns(raw(GOOD_ROWS[0], bad, GOOD_ROWS[0]))
    offsets, shifted = struct.pack("<4i", 0, 2, 3, 5), struct.pack("<4i", 1, 2, 3, 5)
    assert payload.count(offsets) == 1

    try:
        answer = decode_answer(
            make_service().run(payload.replace(offsets, shifted), Stamp(MARKET.id))
        )
    except WireError:
        return
    assert list(answer.errors) == [1]
    assert answer.columns["gross_exposure"].values[0] == 1000.0


def test_numbers_that_overflow_have_an_answer():
    """A huge book has no numbers and does not raise; a small one beside it is computed."""
    huge = Portfolio("huge", {"AAPL": 1e308, "MSFT": -1e308, "XOM": 1e308}, nav=1.0)

    crowd = reports_of([huge, BOOKS[0]], limits=LIMITS)

    assert crowd[1].measures == report_of(BOOKS[0], limits=LIMITS).measures
    assert crowd[0].decision == "reject"
    assert {gap.reason for gap in crowd[0].not_evaluated} == {"not_finite"}
    assert all(measure.status != "ok" for measure in crowd[0].measures.values())


def test_an_instrument_under_two_codes_occurs_twice():
    """A dictionary may have it twice; gross exposure would count both."""
    portfolio = Portfolio("p", {"AAPL": 1.0, "MSFT": -1.0})
    request = pack_portfolios([portfolio], make_terms())

    answer = answer_of(replace(request, instrument_names=["AAPL", "AAPL"]))

    assert answer.errors[0].message == "The instrument occurs twice."
    assert GRAVITY[answer.decisions[0]] == "reject"


def test_a_server_that_is_down_raises():
    """The block is retried: a market that could not be loaded is not unknown."""

    def away(_: str):
        raise TransportError("The broker does not answer.")

    payload = encode_request(pack_portfolios(BOOKS, make_terms()))
    for service in (
        Service(MarketCache(away), lambda _: LimitSet("s", [])),
        Service(MarketCache({MARKET.id: MARKET}.get), away),
    ):
        with pytest.raises(TransportError):
            service.run(payload, Stamp(MARKET.id, "v"))
