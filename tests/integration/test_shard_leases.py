"""Leases of shards on a real server, under a clock that the test moves."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from risk_tasks.connection import connect
from risk_tasks.errors import ShardCountError
from risk_tasks.keys import (
    SHARD_LEASE_TTL_S,
    block_key,
    shard_leases_key,
    shard_workers_key,
    waiting_key,
)
from risk_tasks.queues import Lane
from risk_tasks.roles.shards import ServedShards
from risk_tasks.sharding import Moves
from risk_tasks.store.shards import ShardStore
from risk_tasks.store.telemetry import read_backlog

pytestmark = pytest.mark.integration

NORMAL, BATCH = Lane.NORMAL, Lane.BATCH
N_SHARDS = 7


@pytest.fixture
def store(server) -> ShardStore:
    with connect(server.url) as client:
        yield ShardStore(client)


# --- how many there are


def test_a_new_system_has_one_shard_and_the_first_who_says_says_for_all(store):
    assert store.count() == 1
    assert store.agree(None, is_served=False) == 1
    assert store.agree(16, is_served=False) == 16
    assert store.agree(None, is_served=True) == 16
    assert store.agree(16, is_served=True) == 16
    assert store.count() == 16


def test_another_number_is_refused_while_somebody_serves(store):
    store.agree(16, is_served=False)

    with pytest.raises(ShardCountError, match="16 shards, not 4") as refused:
        store.agree(4, is_served=True)

    assert refused.value.field == "RISK_TASKS_SHARDS"
    assert "stop every worker" in refused.value.remedy
    assert store.count() == 16


def test_another_number_is_refused_while_blocks_wait_in_a_shard(server, store, sender, hand):
    store.agree(16, is_served=False)
    sender.send(shard=11)

    with pytest.raises(ShardCountError) as refused:
        store.agree(4, is_served=False)
    assert "finish what waits" in refused.value.remedy

    server.client.delete("risk.normal.11")
    assert store.agree(4, is_served=False) == 4


def test_a_worker_that_missed_a_change_is_told(store):
    store.agree(4, is_served=False)

    with pytest.raises(ShardCountError, match="now have 4 shards, not 16"):
        store.hold("late", 16, {NORMAL: Moves()})


def test_a_server_that_lost_everything_learns_the_number_from_its_workers(server, store):
    store.agree(4, is_served=False)
    server.client.flushall()

    store.hold("a", 4, {NORMAL: Moves()})

    assert store.count() == 4


# --- blocks and shards


def test_a_block_goes_to_the_list_of_its_shard_and_is_counted_in_its_lane(
    server, store, broker, sender
):
    store.agree(4, is_served=False)

    block_id = sender.send(shard=2, n_checks=5)

    assert broker.n_shards == 4
    (message,) = server.messages("risk.normal.2")
    assert message["headers"]["id"] == block_id
    assert server.client.zrange(waiting_key(NORMAL, 2), 0, -1) == [block_id.encode()]
    assert server.lane(NORMAL)[0] == 5
    lane = read_backlog(server.client).lanes[NORMAL]
    assert lane.n_messages == 1
    assert lane.oldest_age_s is not None


@pytest.mark.parametrize("shard", [None, 4, 99])
def test_who_knows_no_shard_or_another_number_files_where_every_worker_looks(
    server, store, sender, shard
):
    store.agree(4, is_served=False)

    sender.send(shard=shard)

    assert len(server.messages("risk.normal")) == 1


def test_nothing_is_left_of_a_block_of_a_shard_once_it_is_answered(server, store, broker, sender):
    store.agree(4, is_served=False)
    block_id = sender.send(shard=2)
    server.client.rpop("risk.normal.2")

    broker.start(block_id, worker="w")
    assert server.client.zcard(waiting_key(NORMAL, 2)) == 0
    broker.finish(block_id, b"answer")

    assert server.lane(NORMAL) == (0, 0)


def test_what_was_fetched_from_a_shard_and_never_started_is_put_back_for_anybody(
    server, store, broker, sender
):
    store.agree(4, is_served=False)
    lost, waits = sender.send(shard=2), sender.send(shard=2)
    other = sender.send(shard=1)
    server.client.rpop("risk.normal.2")

    _age(server, waiting_key(NORMAL, 2), lost, waits)
    _age(server, waiting_key(NORMAL, 1), other)
    reaped = broker.reap()

    assert (reaped.requeued, reaped.expired, reaped.dead_lettered) == (1, 0, 0)
    assert [m["headers"]["id"] for m in server.messages("risk.normal")] == [lost]
    assert server.client.zrange(waiting_key(NORMAL), 0, -1) == [lost.encode()]
    assert server.client.zrange(waiting_key(NORMAL, 2), 0, -1) == [waits.encode()]
    assert broker.reap().requeued == 0
    broker.start(lost, worker="w")
    assert server.client.zcard(waiting_key(NORMAL)) == 0


def test_a_long_shard_hides_nothing_that_another_one_lost(server, store, broker, sender):
    """What waits in one is older than what another lost: each list is held against its own."""
    store.agree(4, is_served=False)
    old = [sender.send(shard=1) for _ in range(250)]
    lost = sender.send(shard=2)
    server.client.rpop("risk.normal.2")

    _age(server, waiting_key(NORMAL, 1), *old, by_ms=60_000)
    _age(server, waiting_key(NORMAL, 2), lost)

    assert broker.reap().requeued == 1
    assert [m["headers"]["id"] for m in server.messages("risk.normal")] == [lost]


def test_a_block_that_a_worker_gave_back_waits_in_the_lanes_own_list(server, store, broker, sender):
    """As kombu restores it at the end of a worker: by the routing key of the message."""
    store.agree(4, is_served=False)
    block_id = sender.send(shard=2)
    server.client.rpush("risk.normal", server.client.rpop("risk.normal.2"))

    _age(server, waiting_key(NORMAL, 2), block_id)

    assert broker.reap().requeued == 0
    assert broker.start(block_id, worker="w") is not None
    assert server.client.zcard(waiting_key(NORMAL, 2)) == 0


def _age(server, key: str, *block_ids: str, by_ms: int = 10_000) -> None:
    for block_id in block_ids:
        accepted = int(server.client.hget(block_key(block_id), "enqueued_ms")) - by_ms
        server.client.hset(block_key(block_id), "enqueued_ms", accepted)
        server.client.zadd(key, {block_id: accepted})


# --- leases


def test_shards_are_late_where_their_oldest_block_waits_the_latest_first(server, store, sender):
    store.agree(4, is_served=False)
    blocks = {shard: sender.send(shard=shard) for shard in (0, 1, 3)}
    _age(server, waiting_key(NORMAL, 1), blocks[1], by_ms=400)
    _age(server, waiting_key(NORMAL, 3), blocks[3], by_ms=900)

    found = store.hold("a", 4, {NORMAL: Moves(), BATCH: Moves()})

    assert found[NORMAL].late == (3, 1)
    assert found[BATCH].late == ()


def test_a_shard_that_is_taken_stays_with_whoever_was_first(store):
    store.agree(4, is_served=False)
    store.hold("a", 4, {NORMAL: Moves(take=(0, 1))})

    found = store.hold("b", 4, {NORMAL: Moves(take=(1, 2))})

    assert found[NORMAL].leases == {0: "a", 1: "a", 2: "b"}
    assert found[NORMAL].workers == ("a", "b")
    assert store.leases(NORMAL) == {0: "a", 1: "a", 2: "b"}


def test_nobody_gives_up_what_is_anothers(store):
    store.agree(4, is_served=False)
    store.hold("a", 4, {NORMAL: Moves(take=(0,))})

    assert store.hold("b", 4, {NORMAL: Moves(give_up=(0,))})[NORMAL].leases == {0: "a"}


class Leasing(RuleBasedStateMachine):
    """Workers come, go, die and stand still; time goes on, and those that live look around."""

    server: object

    def __init__(self) -> None:
        super().__init__()
        self.server.client.flushall()
        self.now_s = 1_000.0
        self.store = ShardStore(self.server.client, lambda: self.now_s)
        self.store.agree(N_SHARDS, is_served=False)
        self.alive: dict[str, ServedShards] = {}
        self.still: dict[str, ServedShards] = {}
        self.n_made = 0
        self.served_at = dict.fromkeys(range(N_SHARDS), self.now_s)
        self.worst_s = 0.0

    def leases(self, lane: Lane = NORMAL) -> dict[int, str]:
        return self.store.leases(lane)

    @precondition(lambda self: len(self.alive) < 5)
    @rule()
    def join(self) -> None:
        self.n_made += 1
        name = f"w{self.n_made}"
        self.alive[name] = ServedShards(self.store, name, list(Lane), N_SHARDS)
        self.alive[name].look()
        self.tick(0)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def leave(self, data) -> None:
        name = data.draw(st.sampled_from(sorted(self.alive)))
        served = self.alive.pop(name)
        served.drain()
        served.look()
        assert name not in self.leases().values()

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def die(self, data) -> None:
        self.alive.pop(data.draw(st.sampled_from(sorted(self.alive))))

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def stand_still(self, data) -> None:
        name = data.draw(st.sampled_from(sorted(self.alive)))
        self.still[name] = self.alive.pop(name)

    @precondition(lambda self: self.still)
    @rule(data=st.data())
    def go_on(self, data) -> None:
        """With what it believed when it stood still."""
        name = data.draw(st.sampled_from(sorted(self.still)))
        self.alive[name] = self.still.pop(name)
        self.alive[name].look()

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 3.75]), turn=st.integers(0, 4))
    def pass_time(self, seconds, turn) -> None:
        for _ in range(int(seconds / 0.25)):
            self.now_s += 0.25
            self.tick(turn)

    def tick(self, turn: int) -> None:
        names = sorted(self.alive)
        for name in names[turn % max(len(names), 1) :] + names[: turn % max(len(names), 1)]:
            self.alive[name].look()
        for shard, name in self.leases().items():
            if name in self.alive:
                self.served_at[shard] = self.now_s
        if not self.alive:
            self.served_at = dict.fromkeys(range(N_SHARDS), self.now_s)
        longest_s = max(self.now_s - at for at in self.served_at.values())
        self.worst_s = max(self.worst_s, longest_s)

    @rule()
    def come_to_rest(self) -> None:
        self.pass_time(SHARD_LEASE_TTL_S + 1.0, 0)
        if self.alive:
            shares = Counter(dict.fromkeys(self.alive, 0))
            shares.update(self.leases().values())
            assert sorted(self.leases()) == list(range(N_SHARDS))
            assert set(shares) == set(self.alive)
            assert max(shares.values()) - min(shares.values()) <= 1
            looked = [queue for one in self.alive.values() for queue in one.order()[1][0][1:]]
            assert sorted(looked) == sorted(f"risk.normal.{shard}" for shard in range(N_SHARDS))

    @invariant()
    def nobody_waits_for_more_than_five_seconds(self) -> None:
        assert self.worst_s <= 5.0

    @invariant()
    def the_lanes_are_leased_alike(self) -> None:
        """A portfolio meets the same worker in both."""
        assert self.leases(NORMAL) == self.leases(BATCH)


@pytest.mark.timeout(300)
def test_leases_under_all_comings_and_goings(server):
    machine = type("Leasing", (Leasing,), {"server": server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert server.client.ttl(shard_leases_key(NORMAL)) != -1
    assert server.client.ttl(shard_workers_key(NORMAL)) != -1
