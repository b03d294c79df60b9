"""The asyncio client over real workers: each caller gets its own reports and errors."""

from __future__ import annotations

import asyncio
import time

import pytest

from risk_tasks import AsyncRiskClient, Limit, LimitSet, Portfolio
from risk_tasks.errors import (
    QueueFullError,
    ReportTimeoutError,
    TransportError,
    UnknownInstrumentError,
    UnknownMeasureError,
)
from risk_tasks.queues import LANE_CAPACITY, Lane, LaneCapacity
from tests.integration.support import books, unique, untimed, wait_until

pytestmark = pytest.mark.integration

ONE = Portfolio("one", {"AAPL": 1.0})


def run(fleet, work, **terms):
    """Run `work(client)` in an event loop of its own."""

    async def main():
        async with AsyncRiskClient(fleet.url, **{"timeout_s": 20, **terms}) as risk:
            return await work(risk)

    return asyncio.run(main())


def test_reports_are_those_of_the_blocking_client_bit_by_bit(risk, fleet, book):
    """Alone or in a shared message."""

    async def work(client):
        alone = [await client.check(portfolio) for portfolio in book]
        together = await asyncio.gather(*(client.check(portfolio) for portfolio in book))
        return alone, together, await client.check_many(book)

    expected = untimed(risk.check_many(book))
    assert [untimed(found) for found in run(fleet, work)] == [expected] * 3


def test_concurrent_checks_share_blocks_and_a_single_one_does_not_wait(fleet, market):
    """The first of three hundred goes alone; reports of one block share their timings."""
    portfolios = books(300, market.instruments)

    async def work(client):
        return await asyncio.gather(*(client.check(portfolio) for portfolio in portfolios))

    reports = run(fleet, work, max_checks=100, max_wait_s=0.05)

    assert [report.portfolio_id for report in reports] == [p.id for p in portfolios]
    blocks = [id(report.timings) for report in reports]
    sizes = [blocks.count(block) for block in dict.fromkeys(blocks)]
    assert sizes[0] == 1
    assert sizes[1:] == [100, 100, 99]


def test_an_error_of_one_portfolio_reaches_its_check_only(fleet, book):
    """The other checks of the block are answered."""

    async def work(client):
        checks = [book[0], Portfolio("odd", {"GOLD": 1.0}), book[1]]
        return await asyncio.gather(*map(client.check, checks), return_exceptions=True)

    first, odd, last = run(fleet, work)

    assert isinstance(odd, UnknownInstrumentError)
    assert odd.field == "positions['GOLD']"
    assert (first.portfolio_id, last.portfolio_id) == (book[0].id, book[1].id)


def test_check_shared_reports_the_errors_that_check_raises(fleet, risk, book):
    """As in `check_many`; both raise for invalid arguments."""
    odd = Portfolio("odd", {"GOLD": 1.0})

    async def work(client):
        found = await asyncio.gather(client.check_shared(odd), client.check_shared(book[0]))
        with pytest.raises(UnknownMeasureError):
            await client.check_shared(odd, measures=["luck"])
        return list(found)

    assert untimed(run(fleet, work)) == untimed(risk.check_many([odd, book[0]]))


def test_checks_with_other_options_do_not_share_a_block(fleet, book):
    """Each check has its own limits, measures and lane."""
    strict = LimitSet("strict", [Limit("gross_exposure", hard=1.0)])
    lax = LimitSet("lax", [Limit("gross_exposure", hard=1e18)])

    async def work(client):
        return await asyncio.gather(
            client.check(book[0], limits=strict),
            client.check(book[0], limits=lax),
            client.check(book[0], measures=["volatility"]),
            client.check(book[0], priority="critical"),
            client.check(book[0], limits=lax, explain=True),
            client.check_many(book[:1], limits=lax, explain=True),
        )

    by_strict, by_lax, by_measure, plain, explained, (of_many,) = run(fleet, work)

    assert (by_strict.decision, by_lax.decision) == ("reject", "accept")
    assert list(by_measure.measures) == ["volatility"]
    assert len(plain.measures) == 12
    assert (by_lax.explanation, plain.explanation) == (None, None)
    assert explained.explanation == of_many.explanation
    assert explained.explanation.headroom


def test_many_cancellations_do_not_affect_other_checks(fleet, market):
    """Two of three checks are cancelled, some before their block is sent, some after."""
    portfolios = books(200, market.instruments)

    async def work(client):
        tasks = [asyncio.create_task(client.check(portfolio)) for portfolio in portfolios]
        await asyncio.sleep(0)
        for number, task in enumerate(tasks):
            if number % 3:
                task.cancel()
            if number % 50 == 0:
                await asyncio.sleep(0.001)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        again = await client.check(portfolios[0])
        return found, again, client._pending, client._coalescer.n_in_progress

    found, again, waiting, n_in_progress = run(fleet, work)

    for number, (portfolio, outcome) in enumerate(zip(portfolios, found, strict=True)):
        if number % 3 == 0:
            assert outcome.portfolio_id == portfolio.id
        else:
            assert isinstance(outcome, asyncio.CancelledError) or (
                outcome.portfolio_id == portfolio.id
            )
    assert again.portfolio_id == portfolios[0].id
    assert (waiting, n_in_progress) == (set(), 0)


def test_each_check_has_its_own_deadline(bare_fleet, fleet):
    """One check times out; the other is answered."""
    assert bare_fleet.url != fleet.url

    async def work(client):
        started = time.monotonic()
        # No worker answers within a tenth of a millisecond.
        impatient = asyncio.create_task(client.check(ONE, timeout_s=0.0001))
        patient = asyncio.create_task(client.check(ONE))
        with pytest.raises(ReportTimeoutError):
            await impatient
        assert time.monotonic() - started < 5
        return await patient

    assert run(fleet, work).portfolio_id == "one"


def test_a_full_lane_is_an_error_of_every_check(server, market, monkeypatch):
    """No worker serves: the first check fills the lane, and all others are refused."""
    monkeypatch.setitem(LANE_CAPACITY, Lane.NORMAL, LaneCapacity(1, 1 << 20))

    async def work(client):
        first, *others = (client.check(p, timeout_s=1) for p in books(60, market.instruments))
        first = asyncio.create_task(first)
        await asyncio.sleep(0)  # it is being sent, by a thread
        await asyncio.to_thread(wait_until, lambda: server.lane(Lane.NORMAL)[0], 5)
        return await asyncio.gather(first, *others, return_exceptions=True)

    first, *others = run(server, work)

    assert isinstance(first, ReportTimeoutError)
    assert first.check_id
    assert [type(outcome) for outcome in others] == [QueueFullError] * 59
    assert others[0].retry_after_s > 0


def test_a_closed_client_raises_in_waiting_and_in_later_calls(server):
    """On a server without workers."""

    async def work():
        client = AsyncRiskClient(server.url, timeout_s=20)
        waiting = [asyncio.create_task(client.check(ONE)) for _ in range(3)]
        await asyncio.sleep(0.2)
        await client.close()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        await client.close()
        for call in (client.check(ONE), client.check_many([ONE]), client.submit([ONE])):
            with pytest.raises(TransportError, match="closed"):
                await call
        return found

    found = asyncio.run(asyncio.wait_for(work(), 15))

    assert [type(outcome) for outcome in found] == [TransportError] * 3


def test_closing_does_not_wait_for_the_calls_that_it_ends(server, market):
    """Forty of them hold a thread each, on a server without workers."""

    async def work():
        client = AsyncRiskClient(server.url, timeout_s=20)
        calls = [asyncio.create_task(client.check_many([ONE])) for _ in range(40)]
        await asyncio.sleep(0.5)
        await client.close()
        return await asyncio.gather(*calls, return_exceptions=True)

    found = asyncio.run(asyncio.wait_for(work(), 10))

    assert {type(outcome) for outcome in found} == {TransportError}


def test_calls_that_wait_long_do_not_delay_a_check(server, market):
    """Ten of them, on a server without workers."""

    async def work(client):
        slow = [asyncio.create_task(client.check_many([ONE], timeout_s=3)) for _ in range(10)]
        await asyncio.to_thread(wait_until, lambda: server.lane(Lane.NORMAL)[0] == 10, 3)
        check = asyncio.create_task(client.check(ONE, priority="critical", timeout_s=3))
        await asyncio.to_thread(wait_until, lambda: server.lane(Lane.CRITICAL)[0], 2)
        return await asyncio.gather(check, *slow, return_exceptions=True)

    assert {type(outcome) for outcome in run(server, work)} == {ReportTimeoutError}


def test_an_invalid_url_raises_at_once():
    """An error while a check is sent reaches its caller."""

    async def work():
        async with AsyncRiskClient("nonsense", timeout_s=5) as client:
            await client.check(ONE)

    with pytest.raises(TransportError, match="broker URL"):
        asyncio.run(asyncio.wait_for(work(), 4))


def test_the_other_methods_return_what_the_blocking_client_returns(fleet, book, market):
    """Markets, limits, tables, and results by check id."""
    import pyarrow as pa

    name = unique("async")
    positions = pa.table({"portfolio_id": ["p"], "instrument": ["AAPL"], "quantity": [2.0]})

    async def work(client):
        market_id = await client.publish_market(market, name)
        await client.publish_limits(LimitSet(name, [Limit("gross_exposure", hard=1.0)]), name)
        table, breaches = await client.check_table(
            positions, market=name, limits=name, return_breaches=True
        )
        handle = await client.submit(book, market=name)
        reports = await client.result(handle.check_id)
        assert [one.portfolio_id for one in await handle.result()] == [
            one.portfolio_id for one in reports
        ]
        marks = dict(zip(market.instruments, market.prices.tolist(), strict=True))
        moved = await client.publish_prices(marks, as_of=market.as_of, name=name)
        loaded = await client.load_market(name)
        return market_id, table, breaches, reports, moved, loaded

    market_id, table, breaches, reports, moved, loaded = run(fleet, work)

    assert market_id == moved == loaded.id == market.id
    assert table["decision"].to_pylist() == ["reject"]
    assert len(breaches) == 1
    assert [report.portfolio_id for report in reports] == [portfolio.id for portfolio in book]


def test_the_repr_of_a_client_hides_its_password():
    assert repr(AsyncRiskClient("redis://:secret@h:1/0")).startswith("AsyncRiskClient('redis://")
    assert "secret" not in repr(AsyncRiskClient("redis://:secret@h:1/0"))
