"""`status` and `top`: each number by its definition, from what stands on a real server."""

from __future__ import annotations

import pytest

from risk_tasks.connection import connect
from risk_tasks.errors import DecodeError
from risk_tasks.keys import SLOTS_KEPT_S, SLOTS_KEY, slot_key, unanswered_key
from risk_tasks.metrics import Outcome
from risk_tasks.monitoring.slots import SlotWriter
from risk_tasks.monitoring.status import read_status
from risk_tasks.queues import Lane
from risk_tasks.store.roles import LiveRole, RoleStore
from risk_tasks.store.telemetry import Slot, SlotStore, slot_number
from tests.integration.support import PAYLOAD, Server, only_json, unique
from tests.unit.monitoring.records import block, json_check

pytestmark = pytest.mark.integration

NUMBERS = [
    "avg_response_time_ms",
    "p95_response_time_ms",
    "p99_response_time_ms",
    "cache_hit_ratio",
    "calculations_per_second",
    "queue_processing_rate",
    "error_rate",
    "worker_utilization",
]


class Hand:
    """A worker's meters, moved by hand: `covered_s` passes between its writes."""

    def __init__(self, server: Server, client, *, threads: int = 1) -> None:
        self.at_s = 0.0
        self.name = unique("worker")
        self._slots = SlotWriter(
            SlotStore(client), self.name, threads=threads, clock=lambda: self.at_s
        )
        self._slots.write()

    def did(self, *records, covered_s: float = 1.0) -> None:
        self.at_s += covered_s
        self._slots.count(records)
        self._slots.write()


@pytest.fixture
def client(server):
    with connect(server.url) as client:
        yield client


@pytest.fixture
def hand(server, client) -> Hand:
    return Hand(server, client)


def test_live_workers_are_told_with_how_busy_they_are(client, server):
    """By name; what the dead measured counts for the sums, and is told of nobody."""
    alive, dead = Hand(server, client), Hand(server, client)
    RoleStore(client).announce(LiveRole(alive.name, "worker", "normal", "host", 1))
    alive.did(block(n_checks=100, busy_s=0.5), covered_s=2.0)
    dead.did(block(n_checks=100, busy_s=1.5), covered_s=2.0)
    for name, role in (("new", "worker"), ("beat", "scheduler")):
        RoleStore(client).announce(LiveRole(name, role, "", "host", 1))
    status = read_status(client)

    assert status.busy_by_worker == {alive.name: pytest.approx(0.25), "new": None}
    assert status.worker_utilization == pytest.approx(0.5)
    assert status.work_per_check_ms == pytest.approx(10.0)
    assert status.autoscaler is None


def test_a_process_writes_under_its_name_and_a_part_of_its_own(client, server):
    """As `roles/metrics.py` has it; a worker that was started again under its name is one."""
    name = unique("worker")
    for part in ("0badcafe", "deadbeef"):
        at_s = [0.0]
        slots = SlotWriter(
            SlotStore(client), f"{name}:{part}", threads=1, clock=lambda at_s=at_s: at_s[0]
        )
        slots.write()
        at_s[0] = 1.0
        slots.count([block(busy_s=0.5)])
        slots.write()
    RoleStore(client).announce(LiveRole(name, "worker", "normal", "host", 1))

    assert read_status(client).busy_by_worker == {name: pytest.approx(0.5)}


def test_an_empty_system_has_no_numbers_and_is_no_error(call, server):
    """Null, never NaN, and exit code 0."""
    told = only_json(call("status", "--json", "--broker-url", server.url))

    assert {name: told[name] for name in NUMBERS} == dict.fromkeys(NUMBERS)
    assert (told["count"], told["workers"], told["dead_letters"]) == (0, 0, 0)
    assert 55 <= told["window_s"] <= 60
    assert told["markets"] == {}
    assert set(told["lanes"]) == set(Lane)
    for lane in told["lanes"].values():
        assert (lane["depth"], lane["oldest_age_s"], lane["workers"]) == (0, None, 0)
        assert lane["capacity"] > 0
        assert lane["total"] == dict.fromkeys(["avg_ms", "p50_ms", "p95_ms", "p99_ms"])


def test_response_times_are_those_of_checks_and_not_of_blocks(client, hand):
    """A block of 980 weighs 49 times one of 20."""
    hand.did(
        block(n_checks=980, total_s=0.010, queued_s=0.001, compute_s=0.002),
        block(n_checks=20, total_s=0.100, queued_s=0.050, compute_s=0.040),
        json_check(),
    )
    status = read_status(client)

    assert status.count == 1_001
    assert status.avg_response_time_ms == pytest.approx((980 * 10 + 20 * 100) / 1_000)
    assert status.p95_response_time_ms == pytest.approx(10, rel=1e-3)
    assert status.p99_response_time_ms == pytest.approx(100, rel=1e-3)
    lane = status.lanes["normal"]
    assert lane.queued.p50_ms == pytest.approx(1, rel=1e-3)
    assert lane.queued.p99_ms == pytest.approx(50, rel=1e-3)
    assert lane.compute.p99_ms == pytest.approx(40, rel=1e-3)


def test_workers_and_lanes_are_merged(client, server, hand):
    """Percentiles over all of them, by lane beside it."""
    hand.did(block(lane="critical", n_checks=50, total_s=0.001))
    Hand(server, client).did(block(lane="batch", n_checks=50, total_s=1.0))
    status = read_status(client)

    assert status.count == 100
    assert status.p95_response_time_ms == pytest.approx(1_000, rel=1e-3)
    assert status.lanes["critical"].total.p99_ms == pytest.approx(1, rel=1e-3)
    assert status.lanes["batch"].total.p50_ms == pytest.approx(1_000, rel=1e-3)
    assert status.lanes["normal"].count == 0


def test_rates_are_by_the_window_and_shares_by_all_of_their_kind(client, hand):
    """Duplicates are work, and no second answer."""
    hand.did(
        block(n_checks=10, n_errors=2, busy_s=0.25),
        block(n_checks=10, outcome=Outcome.FAILED, n_errors=10, busy_s=0.25),
        block(n_checks=99, outcome=Outcome.DUPLICATE, total_s=None, busy_s=0.5),
        covered_s=4.0,
    )
    status = read_status(client)

    assert status.calculations_per_second == pytest.approx(20 / status.window_s)
    assert status.queue_processing_rate == pytest.approx(2 / status.window_s)
    assert status.error_rate == pytest.approx(12 / 20)
    assert status.worker_utilization == pytest.approx(1.0 / 4.0)


def test_an_idle_worker_tells_zeros_and_not_nothing(client, hand):
    """Of times there is nothing to tell."""
    hand.did()
    status = read_status(client)

    assert status.calculations_per_second == status.queue_processing_rate == 0
    assert status.worker_utilization == 0
    assert status.error_rate is status.p99_response_time_ms is None


def test_utilization_is_by_the_threads_and_the_time_that_each_worker_was_there(client, server):
    """One thread busy for half of its 2 s, two for all of their 4 s."""
    Hand(server, client).did(block(busy_s=1.0), covered_s=2.0)
    Hand(server, client, threads=2).did(block(busy_s=8.0), covered_s=4.0)

    assert read_status(client).worker_utilization == pytest.approx(9 / 10)


def test_more_work_than_time_is_told_as_all_of_it(client, hand):
    """A long block counts where it ended."""
    hand.did(block(busy_s=30.0), covered_s=1.0)

    assert read_status(client).worker_utilization == 1.0


def test_what_expires_or_is_given_up_is_an_error_without_a_time(client, server, sender, broker):
    """In its lane, by whoever found it; the script counts in the slots that workers write."""
    block_id = sender.send(lane=Lane.BATCH, n_checks=30, timeout_s=0.001)
    broker.start(block_id, worker="late")
    while broker.start(block_id, worker="late") is not None:
        pass
    status = read_status(client)

    assert status.error_rate == 1.0
    assert status.lanes["batch"].unanswered == 30
    assert status.count == 0
    number = slot_number(server.now_ms() / 1e3)
    kept = [key for key in server.key_names() if key.startswith("risk:unanswered:")]
    assert kept in ([unanswered_key(number)], [unanswered_key(number - 1)])
    assert SLOTS_KEPT_S - 60 <= server.client.ttl(kept[0]) <= SLOTS_KEPT_S


def test_a_lane_tells_what_it_holds(client, server, sender):
    """Depth in checks and bytes, and since when its oldest block waits."""
    for _ in range(2):
        sender.send(lane=Lane.CRITICAL, n_checks=7)
    RoleStore(client).announce(LiveRole("w", "worker", "critical,normal", "host", 1))
    RoleStore(client).announce(LiveRole("s", "scheduler", "", "host", 2))
    status = read_status(client)

    lane = status.lanes["critical"]
    assert (lane.depth, lane.depth_bytes, lane.messages) == (14, 2 * len(PAYLOAD), 2)
    assert 0 <= lane.oldest_age_s < 10
    assert [status.lanes[name].workers for name in ("critical", "normal", "batch")] == [1, 1, 0]
    assert (status.workers, status.schedulers) == (1, 1)


def test_what_is_older_than_the_window_is_left_out(client, server, hand):
    """And forgotten by the server some minutes later."""
    store = SlotStore(client)
    now = slot_number(store.now_s())
    store.write(now - 12, "old", Slot(1, 5.0, 5.0))
    hand.did(block(n_checks=10, busy_s=0.1))

    assert len(store.read(60).slots) == 1
    assert len(store.read(120).slots) == 2
    assert read_status(client).worker_utilization < 0.2
    for name in (slot_key(f"{now - 12}:old"), slot_key(f"{now}:{hand.name}")):
        assert server.client.ttl(name) <= SLOTS_KEPT_S


def test_the_index_of_slots_does_not_grow(client, server):
    """What is older than any window leaves it with the next write."""
    store = SlotStore(client)
    now = slot_number(store.now_s())
    server.client.zadd(SLOTS_KEY, {"1:long-gone": 1, f"{now - 1}:b": now - 1})

    store.write(now, "a", Slot(1, 1.0))

    assert {entry.decode() for entry in server.client.zrange(SLOTS_KEY, 0, -1)} == {
        f"{now}:a",
        f"{now - 1}:b",
    }


def test_a_slot_of_another_making_is_a_typed_error(client, server):
    store = SlotStore(client)
    now = slot_number(store.now_s())
    store.write(now, "a", Slot(1, 1.0))
    server.client.set(slot_key(f"{now}:a"), b'{"threads": "many"}')

    with pytest.raises(DecodeError, match="worker measured"):
        read_status(client)


def test_a_server_that_is_away_is_the_usual_error(call):
    for command in ("status", "top"):
        done = call(command, "--broker-url", "redis://me:geheim@127.0.0.1:1/0")
        assert done.returncode == 1
        assert "does not answer" in done.stderr
        assert "geheim" not in done.stderr + done.stdout


@pytest.mark.parametrize("command", [["status"], ["top"], ["top", "--once"]])
def test_people_get_a_page_of_eighty_columns_once(call, client, server, hand, command):
    """On no terminal `top` ends by itself, and moves no cursor."""
    hand.did(block(n_checks=12_345))
    done = call(*command, "--broker-url", server.url)

    assert done.returncode == 0, done.stderr
    assert "12,345 checks in" in done.stdout
    assert "\x1b" not in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
