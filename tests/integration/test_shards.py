"""Real workers over lanes with shards: leases, repeated portfolios in memory, and status."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

import risk_tasks
from risk_tasks import AsyncRiskClient, RiskClient
from risk_tasks.app import create_app
from risk_tasks.connection import connect
from risk_tasks.diagnosis import State, examine
from risk_tasks.embedding import Fleet, FleetPlan, running_fleet
from risk_tasks.monitoring.prometheus import ServerMetrics
from risk_tasks.monitoring.status import read_shards
from risk_tasks.queues import Lane
from risk_tasks.settings import Settings
from risk_tasks.store.roles import CacheCountsStore
from risk_tasks.store.shards import ShardStore
from tests.integration.support import books, only_json, untimed, wait_until

pytestmark = pytest.mark.integration

N_SHARDS = 6
COSTLY = ["monte_carlo_value_at_risk"]


@pytest.fixture(scope="module")
def sharded(market) -> Iterator[Fleet]:
    """Two workers that lease six shards, and a scheduler."""
    with running_fleet(FleetPlan(n_workers=2, n_shards=N_SHARDS, scheduler=True)) as fleet:
        with RiskClient(fleet.url) as risk:
            risk.publish_market(market)
        store = ShardStore(connect(fleet.url))
        wait_until(lambda: len(set(store.leases(Lane.NORMAL).values())) == 2, 20, "two workers")
        yield fleet


@pytest.fixture
def risk(sharded, market) -> Iterator[RiskClient]:
    """A client that has read the number of shards."""
    with RiskClient(sharded.url, timeout_s=60) as risk:
        risk.check_many(books(1, market.instruments))
        yield risk


def test_workers_share_the_shards_of_both_lanes_equally(sharded):
    lanes = read_shards(connect(sharded.url))

    assert set(lanes) == {"normal", "batch"}
    for lane in lanes.values():
        assert sorted(lane.workers.values()) == [3, 3]
        assert lane.orphaned == []
        assert lane.imbalance == 1.0
    assert [one.worker for one in lanes["normal"].shards] == [
        one.worker for one in lanes["batch"].shards
    ]


@pytest.mark.parametrize("measures", [None, COSTLY], ids=["standard", "costly"])
def test_reports_are_the_same_with_and_without_shards(risk, market, measures):
    """They are in the order of the request."""
    portfolios = books(120, market.instruments)
    expected = untimed(risk.check_many(portfolios, measures=measures, priority="critical"))

    assert untimed(risk.check_many(portfolios, measures=measures)) == expected
    assert untimed(risk.check_many(portfolios, measures=measures, priority="batch")) == expected
    assert untimed(risk.submit(portfolios, measures=measures).result()) == expected


def test_each_awaited_check_gets_its_own_report(sharded, market):
    portfolios = books(60, market.instruments)

    async def ask() -> list:
        async with AsyncRiskClient(sharded.url, timeout_s=60) as risk:
            await risk.check(portfolios[0])
            checks = [risk.check(book, measures=COSTLY) for book in portfolios]
            return await asyncio.gather(*checks)

    with RiskClient(sharded.url, timeout_s=60) as other:
        expected = untimed(other.check_many(portfolios, measures=COSTLY, priority="critical"))
    assert untimed(asyncio.run(ask())) == expected


def test_a_portfolio_is_found_in_the_memory_of_the_worker_that_computed_it(sharded, risk, market):
    """For all of the second call; without shards it would be half."""
    portfolios, counts = books(200, market.instruments), CacheCountsStore(connect(sharded.url))
    risk.check_many(portfolios, measures=COSTLY)
    before = settled(counts)

    risk.check_many(portfolios[::-1], measures=COSTLY)

    wait_until(lambda: looked_up(counts, before) >= len(portfolios), 10, "counts of 200 look-ups")
    hits = counts.sums()["local_hits"] - before["local_hits"]
    assert hits >= 0.95 * len(portfolios)


def looked_up(counts: CacheCountsStore, before: Counter) -> float:
    now = counts.sums()
    return sum(now.get(one, 0.0) - before[one] for one in ("local_hits", "local_misses"))


def settled(counts: CacheCountsStore) -> Counter:
    """Return the sums once the workers have reported all of their work."""
    seen = [Counter()]

    def is_unchanged() -> bool:
        seen.append(Counter(counts.sums()))
        return len(seen) > 75 and seen[-1] == seen[-75]

    wait_until(is_unchanged, 20, "counts that no longer change")
    return seen[-1]


def test_a_client_without_the_number_of_shards_is_served_and_reads_it(sharded, market):
    portfolios = books(2, market.instruments)
    with RiskClient(sharded.url, timeout_s=20) as risk:
        router = risk._connection._router
        assert router.owners(Lane.NORMAL) is None

        assert risk.check(portfolios[0]).status == "ok"

        assert router.owners(Lane.NORMAL).n_shards == N_SHARDS


def test_producers_that_only_have_celery_are_served(sharded, market):
    """They send to the queue of the lane."""
    app = create_app(Settings.read(broker_url=sharded.url))
    portfolio = books(1, market.instruments)[0]

    document = risk_tasks.signature(portfolio, app=app).apply_async().get(timeout=20)

    assert document["status"] == "ok"


def test_a_worker_with_another_number_of_shards_does_not_start(sharded, call):
    done = call("worker", "--shards", 4, "--broker-url", sharded.url)

    assert done.returncode != 0
    assert "6 shards, not 4" in done.stderr
    assert "stop every worker" in done.stderr


def test_status_and_doctor_report_the_shards(sharded, call):
    status = only_json(call("status", "--shards", "--json", "--broker-url", sharded.url))
    assert [one["shard"] for one in status["normal"]["shards"]] == list(range(N_SHARDS))
    assert status["batch"]["orphaned"] == []

    page = call("status", "--shards", "--broker-url", sharded.url).stdout
    assert "normal: 6 shards, 2 workers, largest share 1.00 of the mean" in page
    assert max(map(len, page.splitlines())) <= 80

    found = {one.subject: one for one in examine(sharded.url)}
    assert found["shards of normal"].state is State.OK
    assert found["answer from batch"].state is State.OK


def test_orphaned_shards_and_messages_beyond_the_last_shard_are_reported(server, sender):
    store = ShardStore(server.client)
    store.agree(4, is_served=False)
    sender.send(shard=3)
    server.client.lpush("risk.normal.9", "stray")

    found = {one.subject: one for one in examine(server.url)}

    assert found["shards of normal"].state is State.BAD
    assert "no worker leases 0, 1, 2, 3, with 1 messages" in found["shards of normal"].found
    assert found["shards of batch"].state is State.WARN
    assert found["stranded messages"].found == "1 in risk.normal.9"
    values = {
        (sample.name, sample.labels.get("lane")): sample.value
        for family in ServerMetrics(server.client).collect()
        for sample in family.samples
    }
    assert values["risk_tasks_shards", "normal"] == 4
    assert values["risk_tasks_orphaned_shards", "normal"] == 4
    assert values["risk_tasks_shard_imbalance", "normal"] == 0
    assert values["risk_tasks_shard_oldest_age_seconds", "normal"] > 0


def test_a_system_without_shards_reports_none(server, call):
    assert only_json(call("status", "--shards", "--json", "--broker-url", server.url)) == {}
    page = call("status", "--shards", "--broker-url", server.url).stdout
    assert page.strip() == "The lanes have no shards."
