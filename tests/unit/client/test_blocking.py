"""The blocking client over a service in this process, without server and workers."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from risk_tasks.client import RiskClient
from risk_tasks.client.answers import BEHIND
from risk_tasks.client.coalescing import ThreadCoalescer
from risk_tasks.client.partitioning import BlockBounds, by_limit_set, cut
from risk_tasks.errors import (
    InvalidLimitError,
    InvalidMarketError,
    InvalidPortfolioError,
    InvalidSettingsError,
    InvalidTableError,
    NoMarketError,
    RequestError,
    StaleVersionError,
    UnknownCheckError,
    UnknownInstrumentError,
    UnknownMeasureError,
    UnknownPortfolioError,
    UnknownScenarioError,
)
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import Stamp
from risk_tasks.wire.answer import decode_answer
from risk_tasks.wire.request import encode_request
from tests.unit.service.support import BOOKS, MARKET, make_service, report_of

DEFAULT = LimitSet("default", [Limit("gross_exposure", warn=1.0)])
STRICT = LimitSet("strict", [Limit("gross_exposure", hard=1.0)])
INVALID = InvalidSettingsError
BAD = Portfolio("bad", {"GOLD": 1.0})


class LocalConnection:
    """Answers as workers would, in blocks of two checks; remembers what was sent."""

    def __init__(self, market_id=MARKET.id):
        self._market_id = market_id
        self._service = make_service(DEFAULT, STRICT)
        self._versions = {"default": DEFAULT.version, "strict": STRICT.version, "": ""}
        self.calls = []

    def cpu_lock(self, n_positions):
        """Lock nothing."""
        return nullcontext()

    def send(self, request, options, limit_sets=None, *, keep_order=True):
        """Remember the call."""
        self.calls.append((request, options, limit_sets))
        return self.calls[-1]

    def receive(self, sent, decode):
        """Answer the call, in the order of its blocks."""
        request, options, limit_sets = sent
        parts = list(by_limit_set(request, options.stamp, limit_sets))
        answers = [
            decode_answer(
                self._service.run(
                    encode_request(block),
                    Stamp(self._market_id, self._versions[stamp.limits]),
                )
            )
            for part, stamp, _ in parts
            for block in cut(part, BlockBounds(max_checks=2, max_positions=1_000))
        ]
        ids = pa.concat_arrays([part.portfolio_ids for part, _, _ in parts])
        rows = np.concatenate([rows for _, _, rows in parts])
        return decode(ids, answers, np.argsort(rows) if len(parts) > 1 else None)

    @property
    def portfolios(self):
        """Holds one live portfolio, of version 3."""
        return self

    def get_many(self, ids):
        """Return what is held under `ids`."""
        self.calls.append(("looked up", list(ids)))
        return [replace(BOOKS[0], id="fund", version=3) if one == "fund" else None for one in ids]

    def close(self):
        """Remember that it was closed."""
        self.calls.append("closed")


@pytest.fixture
def connection():
    return LocalConnection()


@pytest.fixture
def risk(connection):
    client = RiskClient("redis://nobody:1/0", timeout_s=7.0)
    client._coalescers[os.getpid()] = ThreadCoalescer(connection)
    return client


def test_leaving_the_client_closes_the_connection_of_this_process_once(risk, connection):
    """The connection of a parent process stays open."""
    inherited = LocalConnection()
    risk._coalescers[0] = ThreadCoalescer(inherited)

    with risk:
        assert risk._connection is connection
    risk.close()

    assert connection.calls == ["closed"]
    assert inherited.calls == []


def test_many_checks_are_answered_in_their_order(risk, connection):
    """In several blocks, with an invalid portfolio and an id that repeats."""
    portfolios = [*BOOKS, BAD, *BOOKS[:2]]

    reports = risk.check_many(iter(portfolios))

    assert [report.portfolio_id for report in reports] == [portfolio.id for portfolio in portfolios]
    assert [report.code for report in reports] == [None] * 4 + ["unknown_instrument", None, None]
    for portfolio, report in zip(BOOKS, reports, strict=False):
        assert report.measures == report_of(portfolio).measures
        assert report.decision == ("warn" if portfolio.positions else "accept")
    assert reports[4].decision == "reject"
    assert connection.calls[0][1].timeout_s == 7.0


def test_live_portfolios_are_checked_by_their_ids(risk, connection):
    """Ids are looked up once, together; one that is not held is an error in its place only."""
    portfolios = ["gone", BOOKS[1], "fund", "fund", BOOKS[2], "lost"]

    reports = risk.check_many(portfolios, min_version=3)

    ids = ["gone", BOOKS[1].id, "fund", "fund", BOOKS[2].id, "lost"]
    assert [report.portfolio_id for report in reports] == ids
    codes = [report.code for report in reports]
    assert codes == ["unknown_portfolio", None, None, None, None, "unknown_portfolio"]
    assert [report.decision for report in reports[::5]] == ["reject", "reject"]
    assert reports[2].measures == reports[3].measures == report_of(BOOKS[0]).measures
    assert connection.calls[0] == ("looked up", ["gone", "fund", "lost"])
    stale = risk.check_many(["fund", "fund"], min_version=4)
    assert [report.code for report in stale] == ["stale_version"] * 2


def test_a_table_of_ids_has_a_row_for_each_live_portfolio(risk, connection):
    """As in `check_many`; an id that is not held, or is too old, has a row that rejects."""
    table, breaches = risk.check_table(
        pa.table({"portfolio_id": ["gone", "fund", "gone"]}), min_version=3, return_breaches=True
    )

    gone, fund = risk.check_many(["gone", "fund"], min_version=3)
    assert connection.calls[0] == ("looked up", ["gone", "fund"])
    first, second = table.to_pylist()
    assert (first["portfolio_id"], first["code"]) == ("gone", gone.code)
    assert (first["status"], first["decision"]) == ("error", "reject")
    assert (second["portfolio_id"], second["decision"]) == ("fund", fund.decision)
    assert second["volatility"] == fund.measures["volatility"].value
    assert breaches["portfolio_id"].to_pylist() == ["fund"] * second["breach_count"] != []
    stale = risk.check_table(pa.table({"portfolio_id": ["fund"]}), min_version=4)
    assert stale["code"].to_pylist() == ["stale_version"]


@pytest.mark.parametrize("version", [0, True, 1.5])
def test_an_invalid_version_is_refused_for_a_table(risk, version):
    for table in ({"portfolio_id": ["fund"]}, POSITIONS):
        with pytest.raises(InvalidSettingsError) as refused:
            risk.check_table(pa.table(table), min_version=version)
        assert refused.value.field == "min_version"


def test_submit_refuses_ids_that_cannot_be_checked(risk):
    """Answers are read by id, so that the client cannot add its own errors to them."""
    with pytest.raises(UnknownPortfolioError):
        risk.submit(["fund", "gone"])
    with pytest.raises(StaleVersionError):
        risk.submit(["fund"], min_version=4)


REFUSED = {
    "an id as a list": (lambda risk: risk.check_many("fund"), InvalidPortfolioError),
    "an id as a portfolio": (lambda risk: risk.set_portfolio("p"), InvalidPortfolioError),
    "an empty id": (lambda risk: risk.get_portfolio(""), InvalidPortfolioError),
    "None as an id to remove": (lambda risk: risk.remove_portfolio(None), InvalidPortfolioError),
    "a number as an id to report": (lambda risk: risk.report(7), InvalidPortfolioError),
    "no deltas": (lambda risk: risk.change_positions("p", {}), InvalidPortfolioError),
    "a delta without a name": (
        lambda risk: risk.change_positions("p", {"": 1}),
        InvalidPortfolioError,
    ),
    "a list of deltas": (lambda risk: risk.change_positions("p", [1]), InvalidPortfolioError),
    "an infinite delta": (
        lambda risk: risk.change_positions("p", {"A": 1.0, "B": float("inf")}),
        InvalidPortfolioError,
    ),
    "a text as a delta": (
        lambda risk: risk.change_positions("p", {"A": "1"}),
        InvalidPortfolioError,
    ),
    "an empty event id": (lambda risk: risk.change_positions("p", {"A": 1}, event_id=""), INVALID),
    "a number as an event id": (lambda risk: risk.set_portfolio(BOOKS[0], event_id=1), INVALID),
    "an invalid position": (lambda risk: risk.breaches("yesterday"), INVALID),
    "a group without a reader": (lambda risk: risk.breaches("0", group="desk"), INVALID),
    "a reader without a group": (lambda risk: risk.breaches("0", reader="one"), INVALID),
    "a group without a name": (lambda risk: risk.breaches("0", group="", reader="one"), INVALID),
    "a negative idle timeout": (lambda risk: risk.breaches("0", idle_timeout_s=-1), INVALID),
    "a portfolio as a list": (lambda risk: risk.check_many(BOOKS[0]), InvalidPortfolioError),
    "None as a list": (lambda risk: risk.submit(None), InvalidPortfolioError),
    "None as a market": (lambda risk: risk.publish_market(None), InvalidMarketError),
    "a name as a limit set": (lambda risk: risk.publish_limits("strict"), InvalidLimitError),
    "a market without a name": (lambda risk: risk.publish_market(MARKET, ""), InvalidSettingsError),
    "limits without a name": (lambda risk: risk.publish_limits(STRICT, None), InvalidSettingsError),
    "None as a check id": (lambda risk: risk.result(None), UnknownCheckError),
    "a timeout that is not a number": (
        lambda risk: risk.result("a.1", timeout_s=float("nan")),
        InvalidSettingsError,
    ),
}


@pytest.mark.parametrize(("call", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_argument_is_refused_before_anything_is_sent(call, error):
    """With a remedy."""
    with pytest.raises(error) as caught:
        call(RiskClient("redis://nobody:1/0"))

    assert caught.value.remedy


def test_an_empty_list_has_no_reports(risk):
    assert risk.check_many([]) == []


def test_one_check_has_one_report(risk):
    """With the options of all checks."""
    report = risk.check(BOOKS[0], measures=["volatility"], limits=STRICT)

    assert list(report.measures) == ["volatility", "gross_exposure"]
    assert report.decision == "reject"


BAD_CHECKS = [
    (BAD, {}, UnknownInstrumentError, "positions['GOLD']"),
    (BOOKS[0], {"measures": ["stress_loss:flood"]}, UnknownScenarioError, "measures"),
    (BOOKS[0], {"measures": ["luck"]}, UnknownMeasureError, "measures"),
    (7, {}, InvalidPortfolioError, "portfolios[0]"),
    ("", {}, InvalidPortfolioError, "portfolios[0]"),
    ("gone", {}, UnknownPortfolioError, "portfolio_id"),
    ("fund", {"min_version": 4}, StaleVersionError, "min_version"),
    ("fund", {"min_version": 0}, InvalidSettingsError, "min_version"),
    ("fund", {"min_version": True}, InvalidSettingsError, "min_version"),
    (BOOKS[0], {"min_version": 1}, InvalidSettingsError, "min_version"),
]


@pytest.mark.parametrize(("portfolio", "options", "error", "field"), BAD_CHECKS)
def test_a_bad_request_in_one_check_is_raised_with_its_field(
    risk, portfolio, options, error, field
):
    """As the class of its code, with message and remedy."""
    with pytest.raises(RequestError) as caught:
        risk.check(portfolio, **options)

    assert type(caught.value) is error
    assert caught.value.field == field
    assert caught.value.message
    assert caught.value.remedy


def test_a_missing_market_is_reported_and_not_raised(risk, connection):
    """The request itself is valid."""
    connection._market_id = ""

    report = risk.check(BOOKS[0])

    assert (report.status, report.code) == ("error", NoMarketError.code)
    assert report.decision == "reject"


POSITIONS = {
    "portfolio_id": ["short", "long", "hedged", "long", "hedged", "bad", "long"],
    "instrument": ["XOM", "AAPL", "AAPL", "MSFT", "MSFT", "GOLD", "XOM"],
    "quantity": [-25.0, 100.0, 100.0, 50.0, -50.0, 1.0, 1.0],
}
ABOUT = {
    "portfolio_id": ["long", "hedged", "short", "empty"],
    "nav": [4000.0, None, 500.0, None],
    "cash": [None, 1000.0, None, None],
    "limit_set": ["strict", None, "strict", "default"],
}


@pytest.mark.parametrize("frame", [pa.table, pl.DataFrame], ids=["pyarrow", "polars"])
def test_a_table_has_the_answers_of_its_portfolios(risk, frame):
    """A row per portfolio in order of first appearance, each under its own limit set."""
    table = risk.check_table(frame(POSITIONS), portfolios=frame(ABOUT))

    assert isinstance(table, pa.Table)
    rows = {row["portfolio_id"]: row for row in table.to_pylist()}
    assert list(rows) == ["short", "long", "hedged", "bad", "empty"]
    for portfolio in BOOKS:
        row, report = rows[portfolio.id], report_of(portfolio)
        for name, measure in report.measures.items():
            assert row[name] == (measure.value if measure.status == "ok" else None)
    assert {name: (row["status"], row["decision"]) for name, row in rows.items()} == {
        "short": ("ok", "reject"),
        "long": ("ok", "reject"),
        "hedged": ("ok", "warn"),
        "bad": ("error", "reject"),
        "empty": ("ok", "accept"),
    }
    assert rows["bad"]["code"] == "unknown_instrument"


def test_breaches_of_a_table_are_a_second_table(risk):
    """A row per breach, with the id of its portfolio."""
    positions, about = pa.table(POSITIONS), pa.table(ABOUT)

    table, breaches = risk.check_table(positions, portfolios=about, return_breaches=True)

    counts = dict(zip(*table.select(["portfolio_id", "breach_count"]).to_pydict().values()))
    assert counts == {"short": 1, "long": 1, "hedged": 1, "bad": 0, "empty": 0}
    found = {row["portfolio_id"]: row for row in breaches.to_pylist()}
    assert set(found) == {"short", "long", "hedged"}
    assert found["hedged"]["severity"] == "warn"
    assert found["long"]["contributors"][0]["instrument"] == "AAPL"


def test_a_table_without_rows_has_an_answer_without_rows(risk):
    """All columns are there."""
    table, breaches = risk.check_table(pa.table(POSITIONS).slice(0, 0), return_breaches=True)

    assert (table.num_rows, breaches.num_rows) == (0, 0)
    assert table.column_names[0] == "portfolio_id"


def test_an_inline_limit_set_applies_to_every_row_of_a_table(risk):
    """It need not be published."""
    table = risk.check_table(pa.table(POSITIONS), limits=STRICT, measures=[])

    assert table["decision"].to_pylist() == ["reject"] * 4
    assert table.column_names == ["portfolio_id", *(name for name, _ in BEHIND)]
    assert table["limits_applied"].to_pylist() == [1, 1, 1, 0]


def test_a_bad_table_is_refused_before_anything_is_sent(risk, connection):
    """The error names the column."""
    with pytest.raises(InvalidTableError) as caught:
        risk.check_table({"portfolio_id": ["p"], "instrument": ["AAPL"]})

    assert caught.value.field == "positions.quantity"
    assert connection.calls == []
