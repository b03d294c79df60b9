"""A service over markets and limit sets in memory."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from risk_tasks.errors import UnknownLimitSetError
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import Stamp
from risk_tasks.model.scenario import Scenario
from risk_tasks.service import MarketCache, Service
from risk_tasks.wire.answer import decode_answer
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import Detail, RequestBlock, Terms, encode_request, pack_portfolios

AS_OF = datetime(2024, 5, 1, 12, tzinfo=UTC)


#: ms that a block had waited before it came here
WAITED = {"queued_ms": 1.25, "fetch_ms": 0.5}


def make_market(**change) -> MarketSnapshot:
    """Return a market of three instruments over 250 days, with these changes."""
    dice = np.random.default_rng(7)
    fields = {
        "as_of": AS_OF,
        "instruments": ["AAPL", "MSFT", "XOM"],
        "prices": [10.0, 20.0, 40.0],
        "returns": dice.normal(0.0, 0.02, (250, 3)),
        "scenarios": {"crash": Scenario({"AAPL": -0.5, "MSFT": -0.25}, others=0.125)},
        **change,
    }
    others = ("scenarios", "covariance", "dates", "tags")
    named = {key: fields.pop(key) for key in others if key in fields}
    return MarketSnapshot(*fields.values(), **named)


MARKET = make_market()

BOOKS = [
    Portfolio("long", {"AAPL": 100.0, "MSFT": 50.0, "XOM": 1.0}, nav=4000.0, tags={"desk": "eq"}),
    Portfolio("hedged", {"AAPL": 100.0, "MSFT": -50.0}, cash=1000.0),
    Portfolio("empty", {}),
    Portfolio("short", {"XOM": -25.0}, nav=500.0),
]


class Limits:
    """Limit sets by version, as the store loads them."""

    def __init__(self, *limit_sets: LimitSet) -> None:
        self._by_version = {limit_set.version: limit_set for limit_set in limit_sets}

    def load(self, version: str) -> LimitSet:
        """Return the limit set of this version, or raise as the store does."""
        if version not in self._by_version:
            raise UnknownLimitSetError(f"No limit set of version {version}.", field="limits")
        return self._by_version[version]


def make_service(*limit_sets, markets=(MARKET,)) -> Service:
    """Return a service over these markets and limit sets."""
    market_cache = MarketCache({market.id: market for market in markets}.get)
    return Service(market_cache, Limits(*limit_sets).load)


def make_terms(measures=None, settings=None, limits=None, detail=Detail.REPORTS) -> Terms:
    """Return the terms of a request, with the defaults of a client."""
    return Terms(parse_measures(measures), settings or MeasureSettings(), limits, detail)


def answer_of(request, *, service=None, market=MARKET.id, version=""):
    """Return the answer after encoding and decoding request and answer."""
    payload = encode_request(request)
    return decode_answer((service or make_service()).run(payload, Stamp(market, version), WAITED))


def reports_of(portfolios, *, service=None, market=MARKET.id, version="", **terms):
    """Return the reports of portfolios after encoding and decoding."""
    request = pack_portfolios(portfolios, make_terms(**terms))
    answer = answer_of(request, service=service, market=market, version=version)
    return reports([portfolio.id for portfolio in portfolios], [answer])


def report_of(portfolio, **how):
    """Return the report of one portfolio."""
    return reports_of([portfolio], **how)[0]


def raw(*rows, terms=None, names=("AAPL", "MSFT", "XOM", "GOLD")) -> RequestBlock:
    """Return a block of rows as a client might send them, each `(id, positions, cash, nav)`.

    A position is the index of a name, -1 for none, and a quantity.
    """
    flat = [position for row in rows for position in row[1]]
    return RequestBlock(
        terms=terms or make_terms(),
        portfolio_ids=pa.array([row[0] for row in rows], pa.string()),
        offsets=np.cumsum([0, *(len(row[1]) for row in rows)], dtype=np.int64),
        instrument=np.array([name for name, _ in flat], dtype=np.int32),
        instrument_names=list(names),
        quantity=np.array([quantity for _, quantity in flat], dtype=np.float64),
        cash=pa.array([row[2] for row in rows], pa.float64()),
        nav=pa.array([row[3] for row in rows], pa.float64()),
        tags=[{}] * len(rows),
    )
