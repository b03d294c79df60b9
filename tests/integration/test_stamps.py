"""Markets and limits change while checks run: one stamp per call, and no check fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from risk_tasks import Limit, LimitSet, MarketSnapshot, MeasureSettings, Portfolio
from risk_tasks.broker.blocks import BlockBroker
from risk_tasks.client.partitioning import BlockBounds
from risk_tasks.model.measures import parse_measures
from risk_tasks.model.report import Stamp
from risk_tasks.service import MarketCache, Service
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import Terms, pack_portfolios
from tests.integration.support import books, unique, wait_until

pytestmark = pytest.mark.integration

LATER = datetime(2023, 1, 3, 21, tzinfo=UTC)


@contextmanager
def repeating(work: Callable[[int], object]) -> Iterator[Callable[[], int]]:
    """Call `work` with 0, 1, 2, ... in another thread; yields the number of calls so far."""
    stopped, done, failed = threading.Event(), [0], []

    def run() -> None:
        while not stopped.is_set():
            try:
                work(done[0])
            except Exception as error:
                failed.append(error)
                return
            done[0] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: done[0]
    finally:
        stopped.set()
        thread.join(30)
    assert failed == []


@pytest.fixture
def small_blocks(monkeypatch) -> None:
    """Blocks of twenty checks."""
    monkeypatch.setattr("risk_tasks.client.partitioning.LARGEST", BlockBounds(20, 50_000))


@dataclass
class Moving:
    """Names, and their market ids and limits versions, oldest first."""

    market: str
    limits: str
    stamps: list[tuple[str, str]]


@pytest.fixture
def never_at_rest(risk, market, monkeypatch) -> Moving:
    """A market and limits that are published again before every block."""
    moving = Moving(unique("market"), unique("limits"), [])

    def publish() -> None:
        number = len(moving.stamps)
        marks = market.with_prices(market.prices * (1.0 + number), as_of=market.as_of)
        limits = LimitSet(unique("set"), [Limit("gross_exposure", hard=1.0 + number)])
        risk.publish_market(marks, moving.market)
        risk.publish_limits(limits, moving.limits)
        moving.stamps.append((marks.id, limits.version))

    def enqueue_after_publishing(self, *args, **kwargs):
        publish()
        return enqueue(self, *args, **kwargs)

    publish()
    enqueue = BlockBroker.enqueue
    monkeypatch.setattr(BlockBroker, "enqueue", enqueue_after_publishing)
    return moving


def test_all_blocks_of_a_call_have_one_stamp(risk, market, never_at_rest, small_blocks):
    """That of the first block, although market and limits change between all blocks."""
    now = never_at_rest

    sent = risk.check_many(books(100, market.instruments), market=now.market, limits=now.limits)

    assert len(now.stamps) >= 6
    assert {(r.market_id, r.limits_version) for r in sent} == {now.stamps[1]}


def test_blocks_under_several_limit_sets_have_one_market(risk, market, never_at_rest):
    """Also a table with several limit sets is one call."""
    ids, now = [unique() for _ in range(4)], never_at_rest
    sets = [unique("limits") for _ in ids]
    for name in sets:
        risk.publish_limits(LimitSet(name, [Limit("volatility", hard=1e9)]), name)
    positions = pa.table(
        {"portfolio_id": ids, "instrument": ["AAPL"] * 4, "quantity": [1.0, 1.0, 1.0, 1.0]}
    )

    table = risk.check_table(
        positions,
        portfolios=pa.table({"portfolio_id": ids, "limit_set": sets}),
        market=now.market,
        measures=["market_value"],
    )

    assert len(now.stamps) == 5
    price = market.prices[market.index["AAPL"]]
    assert table.column("market_value").to_pylist() == [2.0 * price] * 4


def test_each_call_has_one_market_while_prices_are_published(risk, market, small_blocks):
    """Fifty blocks a call."""
    name = unique("market")
    risk.publish_market(market, name)
    portfolios = books(1_000, market.instruments)
    marks = dict(zip(market.instruments, market.prices.tolist()))
    seen = []

    def publish(number: int) -> None:
        risk.publish_prices(
            {key: price + number for key, price in marks.items()}, as_of=LATER, name=name
        )

    with repeating(publish) as times:
        for _ in range(3):
            before = times()
            sent = risk.check_many(portfolios, measures=["market_value"], market=name)
            assert times() > before
            assert {report.status for report in sent} == {"ok"}
            seen.append({report.market_id for report in sent})

    assert [len(ids) for ids in seen] == [1, 1, 1]
    assert len(set.union(*seen)) == 3


SWAPPED_MEASURES = ["market_value", "volatility"]


def in_process(market: MarketSnapshot, shares: list[Portfolio]) -> dict[str, object]:
    """Return the measures of each portfolio under `market`, computed here."""
    service = Service(MarketCache({market.id: market}.get), lambda version: None)
    terms = Terms(parse_measures(SWAPPED_MEASURES), MeasureSettings())
    answer = service.check(pack_portfolios(shares, terms), Stamp(market.id))
    made = reports([share.id for share in shares], [answer])
    return {report.portfolio_id: report.measures for report in made}


def test_swapping_the_market_under_load_never_fails_a_check(risk, market):
    """Every answer is correct under the market of its stamp."""
    name = unique("swapped")
    other = MarketSnapshot(
        LATER, market.instruments, market.prices * 3.0, market.returns * 0.5, scenarios={}
    )
    risk.publish_market(market, name)
    shares = [Portfolio(unique(), {instrument: 1.0}) for instrument in market.instruments]
    expected = {m.id: in_process(m, shares) for m in (market, other)}

    seen, lock = [], threading.Lock()

    def check(number: int) -> None:
        share = shares[number % len(shares)]
        report = risk.check(share, measures=SWAPPED_MEASURES, market=name)
        with lock:
            seen.append(report)

    def swap(number: int) -> None:
        risk.publish_market((market, other)[number % 2], name)

    with repeating(check), repeating(check), repeating(check), repeating(swap) as swaps:
        wait_until(lambda: swaps() >= 30 and len(seen) >= 100, 60, "swaps and checks")

    for report in seen:
        assert (report.status, report.code) == ("ok", None)
        assert report.measures == expected[report.market_id][report.portfolio_id]
    assert {report.market_id for report in seen} == {market.id, other.id}
