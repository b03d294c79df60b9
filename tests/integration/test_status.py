"""`status` and `top`: each number by its definition, over a real server."""

from __future__ import annotations

import pytest

from risk_tasks.connection import connect
from risk_tasks.errors import DecodeError
from risk_tasks.keys import SLOTS_KEPT_S, SLOTS_KEY, slot_key, unanswered_key
from risk_tasks.metrics import BlockOutcome
from risk_tasks.monitoring.recording import SlotWriter
from risk_tasks.monitoring.status import read_status
from risk_tasks.queues import Lane
from risk_tasks.store.roles import RoleStore, RunningRole
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


class FakeWorker:
    """The recorder of a worker with a clock of its own: `covered_s` passes between writes."""

    def __init__(self, server: Server, client, *, threads: int = 1) -> None:
        self.at_s = 0.0
        self.name = unique("worker")
        self._slots = SlotWriter(
            SlotStore(client), self.name, threads=threads, clock=lambda: self.at_s
        )
        self._slots.write()

    def record(self, *records, covered_s: float = 1.0) -> None:
        self.at_s += covered_s
        self._slots.count(records)
        self._slots.write()


@pytest.fixture
def client(server):
    with connect(server.url) as client:
        yield client


@pytest.fixture
def worker(server, client) -> FakeWorker:
    return FakeWorker(server, client)


def test_status_has_the_busy_share_of_each_live_worker(client, server):
    """By name; the records of dead workers count only for the sums."""
    alive, dead = FakeWorker(server, client), FakeWorker(server, client)
    RoleStore(client).announce(RunningRole(alive.name, "worker", "normal", "host", 1))
    alive.record(block(n_checks=100, busy_s=0.5), covered_s=2.0)
    dead.record(block(n_checks=100, busy_s=1.5), covered_s=2.0)
    for name, role in (("new", "worker"), ("beat", "scheduler")):
        RoleStore(client).announce(RunningRole(name, role, "", "host", 1))
    status = read_status(client)

    assert status.busy_by_worker == {alive.name: pytest.approx(0.25), "new": None}
    assert status.worker_utilization == pytest.approx(0.5)
    assert status.work_per_check_ms == pytest.approx(10.0)
    assert status.autoscaler is None


def test_two_processes_of_one_name_are_one_worker(client, server):
    """As after a restart: `roles/metrics.py` appends a part of its own to the name."""
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
    RoleStore(client).announce(RunningRole(name, "worker", "normal", "host", 1))

    assert read_status(client).busy_by_worker == {name: pytest.approx(0.5)}


def test_an_empty_system_has_null_for_each_number(call, server):
    """Never NaN; the exit code is 0."""
    status = only_json(call("status", "--json", "--broker-url", server.url))

    assert {name: status[name] for name in NUMBERS} == dict.fromkeys(NUMBERS)
    assert (status["count"], status["workers"], status["dead_letters"]) == (0, 0, 0)
    assert 55 <= status["window_s"] <= 60
    assert status["markets"] == {}
    assert set(status["lanes"]) == set(Lane)
    for lane in status["lanes"].values():
        assert (lane["depth"], lane["oldest_age_s"], lane["workers"]) == (0, None, 0)
        assert lane["capacity"] > 0
        assert lane["total"] == dict.fromkeys(["avg_ms", "p50_ms", "p95_ms", "p99_ms"])


def test_response_times_are_those_of_checks_rather_than_blocks(client, worker):
    """A block of 980 checks weighs 49 times as much as one of 20."""
    worker.record(
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


def test_workers_and_lanes_are_merged(client, server, worker):
    """Percentiles over all lanes, and by lane."""
    worker.record(block(lane="critical", n_checks=50, total_s=0.001))
    FakeWorker(server, client).record(block(lane="batch", n_checks=50, total_s=1.0))
    status = read_status(client)

    assert status.count == 100
    assert status.p95_response_time_ms == pytest.approx(1_000, rel=1e-3)
    assert status.lanes["critical"].total.p99_ms == pytest.approx(1, rel=1e-3)
    assert status.lanes["batch"].total.p50_ms == pytest.approx(1_000, rel=1e-3)
    assert status.lanes["normal"].count == 0


def test_rates_are_per_second_of_the_window_and_shares_of_all_checks(client, worker):
    """A duplicate counts as work and not as an answer."""
    worker.record(
        block(n_checks=10, n_errors=2, busy_s=0.25),
        block(n_checks=10, outcome=BlockOutcome.FAILED, n_errors=10, busy_s=0.25),
        block(n_checks=99, outcome=BlockOutcome.DUPLICATE, total_s=None, busy_s=0.5),
        covered_s=4.0,
    )
    status = read_status(client)

    assert status.calculations_per_second == pytest.approx(20 / status.window_s)
    assert status.queue_processing_rate == pytest.approx(2 / status.window_s)
    assert status.error_rate == pytest.approx(12 / 20)
    assert status.worker_utilization == pytest.approx(1.0 / 4.0)


def test_an_idle_system_has_zeros_and_null_times(client, worker):
    worker.record()
    status = read_status(client)

    assert status.calculations_per_second == status.queue_processing_rate == 0
    assert status.worker_utilization == 0
    assert status.error_rate is status.p99_response_time_ms is None


def test_utilization_weighs_threads_and_covered_time(client, server):
    """One thread busy for half of its 2 s, two for all of their 4 s."""
    FakeWorker(server, client).record(block(busy_s=1.0), covered_s=2.0)
    FakeWorker(server, client, threads=2).record(block(busy_s=8.0), covered_s=4.0)

    assert read_status(client).worker_utilization == pytest.approx(9 / 10)


def test_utilization_is_at_most_one(client, worker):
    """A long block counts where it finished."""
    worker.record(block(busy_s=30.0), covered_s=1.0)

    assert read_status(client).worker_utilization == 1.0


def test_an_expired_block_is_an_error_without_a_time(client, server, sender, broker):
    """In its lane; the script counts in the slots of the workers."""
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


def test_a_lane_has_depth_age_and_workers(client, server, sender):
    """Depth in checks and bytes, and the age of its oldest block."""
    for _ in range(2):
        sender.send(lane=Lane.CRITICAL, n_checks=7)
    RoleStore(client).announce(RunningRole("w", "worker", "critical,normal", "host", 1))
    RoleStore(client).announce(RunningRole("s", "scheduler", "", "host", 2))
    status = read_status(client)

    lane = status.lanes["critical"]
    assert (lane.depth, lane.depth_bytes, lane.messages) == (14, 2 * len(PAYLOAD), 2)
    assert 0 <= lane.oldest_age_s < 10
    assert [status.lanes[name].workers for name in ("critical", "normal", "batch")] == [1, 1, 0]
    assert (status.workers, status.schedulers) == (1, 1)


def test_slots_older_than_the_window_are_left_out(client, server, worker):
    """The server deletes them some minutes later."""
    store = SlotStore(client)
    now = slot_number(store.now_s())
    store.write(now - 12, "old", Slot(1, 5.0, 5.0))
    worker.record(block(n_checks=10, busy_s=0.1))

    assert len(store.read(60).slots) == 1
    assert len(store.read(120).slots) == 2
    assert read_status(client).worker_utilization < 0.2
    for name in (slot_key(f"{now - 12}:old"), slot_key(f"{now}:{worker.name}")):
        assert server.client.ttl(name) <= SLOTS_KEPT_S


def test_the_index_of_slots_does_not_grow(client, server):
    """The next write removes entries that are older than any window."""
    store = SlotStore(client)
    now = slot_number(store.now_s())
    server.client.zadd(SLOTS_KEY, {"1:long-gone": 1, f"{now - 1}:b": now - 1})

    store.write(now, "a", Slot(1, 1.0))

    assert {entry.decode() for entry in server.client.zrange(SLOTS_KEY, 0, -1)} == {
        f"{now}:a",
        f"{now - 1}:b",
    }


def test_a_slot_of_another_format_is_a_typed_error(client, server):
    store = SlotStore(client)
    now = slot_number(store.now_s())
    store.write(now, "a", Slot(1, 1.0))
    server.client.set(slot_key(f"{now}:a"), b'{"threads": "many"}')

    with pytest.raises(DecodeError, match="slot of a worker"):
        read_status(client)


def test_a_server_that_is_down_is_a_transport_error(call):
    for command in ("status", "top"):
        done = call(command, "--broker-url", "redis://me:geheim@127.0.0.1:1/0")
        assert done.returncode == 1
        assert "does not answer" in done.stderr
        assert "geheim" not in done.stderr + done.stdout


@pytest.mark.parametrize("command", [["status"], ["top"], ["top", "--once"]])
def test_a_page_has_eighty_columns_and_no_escape_sequences(call, client, server, worker, command):
    """Without a terminal `top` prints one page."""
    worker.record(block(n_checks=12_345))
    done = call(*command, "--broker-url", server.url)

    assert done.returncode == 0, done.stderr
    assert "12,345 checks in" in done.stdout
    assert "\x1b" not in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
