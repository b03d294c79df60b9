"""Leases of shards on a real server, under a clock that the test moves."""

from __future__ import annotations

from collections import Counter
from math import ceil

import pytest
from hypothesis import HealthCheck, given, settings
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
from risk_tasks.store.shards import ShardStore
from risk_tasks.store.telemetry import read_backlog

pytestmark = pytest.mark.integration

NORMAL, BATCH = Lane.NORMAL, Lane.BATCH
N_SHARDS = 7


@pytest.fixture
def store(server) -> ShardStore:
    with connect(server.url) as client:
        yield ShardStore(client)


# --- the number of shards


def test_a_new_system_has_one_shard_and_the_first_role_sets_the_number(store):
    assert store.count() == 1
    assert store.agree(None, is_served=False) == 1
    assert store.agree(16, is_served=False) == 16
    assert store.agree(None, is_served=True) == 16
    assert store.agree(16, is_served=True) == 16
    assert store.count() == 16


def test_another_number_is_refused_while_workers_are_alive(store):
    store.agree(16, is_served=False)

    with pytest.raises(ShardCountError, match="have 16 shards, not 4") as refused:
        store.agree(4, is_served=True)

    assert refused.value.field == "RISK_TASKS_SHARDS"
    assert "stop every worker" in refused.value.remedy
    assert store.count() == 16


def test_another_number_is_refused_while_blocks_wait_in_a_shard(server, store, sender, hand):
    store.agree(16, is_served=False)
    sender.send(shard=11)

    with pytest.raises(ShardCountError) as refused:
        store.agree(4, is_served=False)
    assert "finish the waiting blocks" in refused.value.remedy

    server.client.delete("risk.normal.11")
    assert store.agree(4, is_served=False) == 4


def test_a_worker_with_an_outdated_number_is_refused(store):
    store.agree(4, is_served=False)

    with pytest.raises(ShardCountError, match="now have 4 shards, not 16"):
        store.renew("late", 16, [NORMAL])


def test_a_server_that_lost_its_data_gets_the_number_from_its_workers(server, store):
    store.agree(4, is_served=False)
    server.client.flushall()

    store.renew("a", 4, [NORMAL])

    assert store.count() == 4


# --- blocks and shards


def test_a_block_goes_to_the_queue_of_its_shard_and_is_counted_in_its_lane(
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
def test_a_block_without_a_shard_or_beyond_the_number_goes_to_the_queue_of_its_lane(
    server, store, sender, shard
):
    store.agree(4, is_served=False)

    sender.send(shard=shard)

    assert len(server.messages("risk.normal")) == 1


def test_an_answered_block_of_a_shard_leaves_nothing_behind(server, store, broker, sender):
    store.agree(4, is_served=False)
    block_id = sender.send(shard=2)
    server.client.rpop("risk.normal.2")

    broker.start(block_id, worker="w")
    assert server.client.zcard(waiting_key(NORMAL, 2)) == 0
    broker.finish(block_id, b"answer")

    assert server.lane(NORMAL) == (0, 0)


def test_a_block_fetched_from_a_shard_and_not_started_is_requeued_for_every_worker(
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


def test_a_lost_block_is_found_beside_a_long_shard(server, store, broker, sender):
    """Older blocks that wait in one shard do not hide a younger block that another shard lost."""
    store.agree(4, is_served=False)
    old = [sender.send(shard=1) for _ in range(250)]
    lost = sender.send(shard=2)
    server.client.rpop("risk.normal.2")

    _age(server, waiting_key(NORMAL, 1), *old, by_ms=60_000)
    _age(server, waiting_key(NORMAL, 2), lost)

    assert broker.reap().requeued == 1
    assert [m["headers"]["id"] for m in server.messages("risk.normal")] == [lost]


def test_a_block_that_kombu_restores_waits_in_the_queue_of_its_lane(server, store, broker, sender):
    """At the end of a worker kombu restores it by the routing key of the message."""
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


def test_late_shards_are_those_whose_oldest_block_waits_longest_wait_first(server, store, sender):
    store.agree(4, is_served=False)
    blocks = {shard: sender.send(shard=shard) for shard in (0, 1, 3)}
    _age(server, waiting_key(NORMAL, 1), blocks[1], by_ms=400)
    _age(server, waiting_key(NORMAL, 3), blocks[3], by_ms=900)

    found = store.renew("a", 4, [NORMAL, BATCH])

    assert found[NORMAL].late == (3, 1)
    assert found[BATCH].late == ()


class Fleet:
    """Workers that renew their leases sequentially, with a clock that a test moves."""

    def __init__(self, server, n_shards: int) -> None:
        server.client.flushall()
        self.now_s = 1_000.0
        self.store = ShardStore(server.client, lambda: self.now_s)
        self.store.agree(n_shards, is_served=False)
        self.n_shards = n_shards
        self.server = server

    def renew(self, names) -> dict[int, str]:
        """Let each worker renew once, check that shares are even, and return all leases."""
        own = {name: self.store.renew(name, self.n_shards, [NORMAL])[NORMAL].own for name in names}
        own = {name: self.store.renew(name, self.n_shards, [NORMAL])[NORMAL].own for name in names}
        sizes = [len(shards) for shards in own.values()]
        assert max(sizes) - min(sizes) <= 1
        leases = self.store.leases(NORMAL)
        assert leases == {shard: name for name, shards in own.items() for shard in shards}
        assert sorted(leases) == list(range(self.n_shards))
        return leases


def moved(before: dict[int, str], after: dict[int, str]) -> int:
    return sum(before[shard] != after[shard] for shard in before)


NAMES = st.lists(st.text("abcdef", min_size=1, max_size=4), min_size=1, max_size=12, unique=True)
SHARDS = st.integers(1, 80)
on_a_server = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@on_a_server
@given(NAMES, SHARDS)
def test_a_worker_that_joins_takes_its_share_and_no_other_shard_moves(server, names, n_shards):
    fleet = Fleet(server, n_shards)
    before = fleet.renew(names)

    after = fleet.renew([*names, "z"])

    assert {after[shard] for shard in before if before[shard] != after[shard]} <= {"z"}
    assert moved(before, after) <= n_shards / len(names)


@on_a_server
@given(NAMES, SHARDS, st.data(), st.booleans())
def test_only_the_shards_of_a_worker_that_leaves_or_dies_move(
    server, names, n_shards, data, is_dead
):
    names = [*names, "z"]
    fleet, gone = Fleet(server, n_shards), data.draw(st.sampled_from(names))
    before = fleet.renew(names)

    others = [name for name in names if name != gone]
    if is_dead:
        for _ in range(3):
            fleet.now_s += SHARD_LEASE_TTL_S / 2
            for name in others:
                fleet.store.renew(name, n_shards, [NORMAL])
    else:
        fleet.store.leave(gone, [NORMAL])
    after = fleet.renew(others)

    assert all(before[shard] == gone for shard in before if before[shard] != after[shard])
    assert moved(before, after) <= ceil(n_shards / len(names))


@on_a_server
@given(NAMES, SHARDS, st.data())
def test_any_leases_become_even_after_one_renewal_of_each(server, names, n_shards, data):
    """Also leases that the scripts would not write, of live and of dead workers."""
    fleet = Fleet(server, n_shards)
    holders = st.sampled_from([*names, "x", "y"])
    leases = data.draw(st.dictionaries(st.integers(0, n_shards - 1), holders, min_size=1))
    server.client.hset(shard_leases_key(NORMAL), mapping=leases)

    fleet.renew(names)


@on_a_server
@given(st.lists(st.sampled_from(["join", "leave"]), max_size=25), st.integers(12, 80))
def test_each_change_of_the_fleet_moves_at_most_two_shares(server, events, n_shards):
    """The bar: 2/n of the portfolios, with no more workers than shards."""
    fleet, names = Fleet(server, n_shards), ["w0"]
    leases = fleet.renew(names)
    for number, event in enumerate(events, 1):
        n = len(names)
        if event == "join" and n < 12:
            names = [*names, f"w{number}"]
        elif event == "leave" and n > 1:
            fleet.store.leave(names[0], [NORMAL])
            names = names[1:]
        else:
            continue
        after = fleet.renew(names)
        assert moved(leases, after) <= 2 * n_shards / n
        leases = after


def test_with_more_workers_than_shards_some_lease_none(server):
    assert sorted(Fleet(server, 2).renew(["a", "b", "c"]).values()) in (
        ["a", "b"],
        ["a", "c"],
        ["b", "c"],
    )


class Leasing(RuleBasedStateMachine):
    """Workers join, leave, die and pause; time passes, and live workers renew their leases."""

    server: object

    def __init__(self) -> None:
        super().__init__()
        self.server.client.flushall()
        self.now_s = 1_000.0
        self.store = ShardStore(self.server.client, lambda: self.now_s)
        self.store.agree(N_SHARDS, is_served=False)
        self.alive: dict[str, ServedShards] = {}
        self.paused: dict[str, ServedShards] = {}
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
    def pause(self, data) -> None:
        name = data.draw(st.sampled_from(sorted(self.alive)))
        self.paused[name] = self.alive.pop(name)

    @precondition(lambda self: self.paused)
    @rule(data=st.data())
    def resume(self, data) -> None:
        """With the order that it had before the pause."""
        name = data.draw(st.sampled_from(sorted(self.paused)))
        self.alive[name] = self.paused.pop(name)
        self.alive[name].look()

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 3.75]), first=st.integers(0, 4))
    def pass_time(self, seconds, first) -> None:
        for _ in range(int(seconds / 0.25)):
            self.now_s += 0.25
            self.tick(first)

    def tick(self, first: int) -> None:
        names = sorted(self.alive)
        for name in names[first % max(len(names), 1) :] + names[: first % max(len(names), 1)]:
            self.alive[name].look()
        for shard, name in self.leases().items():
            if name in self.alive:
                self.served_at[shard] = self.now_s
        if not self.alive:
            self.served_at = dict.fromkeys(range(N_SHARDS), self.now_s)
        longest_s = max(self.now_s - at for at in self.served_at.values())
        self.worst_s = max(self.worst_s, longest_s)

    @rule()
    def settle(self) -> None:
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
    def no_shard_waits_longer_than_five_seconds(self) -> None:
        assert self.worst_s <= 5.0

    @invariant()
    def both_lanes_have_the_same_leases(self) -> None:
        """So that a portfolio has the same worker in both."""
        assert self.leases(NORMAL) == self.leases(BATCH)


@pytest.mark.timeout(300)
def test_leases_while_workers_join_leave_die_and_pause(server):
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
