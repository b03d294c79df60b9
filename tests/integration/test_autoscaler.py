"""The autoscaler over a real server: its signals, its actions and its report."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from risk_tasks.connection import connect
from risk_tasks.errors import TransportError
from risk_tasks.keys import AUTOSCALER_KEY, AUTOSCALER_LOCK_KEY, AUTOSCALER_TTL_S
from risk_tasks.monitoring.status import read_status
from risk_tasks.queues import Lane
from risk_tasks.store.roles import AutoscalerStore, RoleStore, RunningRole
from tests.integration.support import REPOSITORY, ended, only_json, running, wait_until
from tests.integration.test_status import FakeWorker
from tests.unit.monitoring.records import block
from workers.autoscaler.autoscaler import Autoscaler, SignalReader
from workers.autoscaler.drivers import EngineError, Worker
from workers.autoscaler.policy import Policy

pytestmark = pytest.mark.integration

POLICY = Policy(
    min_workers=1,
    max_workers=4,
    targets_s=dict.fromkeys(Lane, 2.0),
    up_factor=2.0,
    cooldown_s=60.0,
    settle_s=10.0,
)


@dataclass
class ListDriver:
    """A driver whose workers are names in a list."""

    name: str = "list"
    hosts: list[str] = field(default_factory=lambda: ["host-1"])
    fails: bool = False

    def workers(self) -> list[Worker]:
        if self.fails:
            raise EngineError("It is down.")
        return [Worker(host, host, host, int(host[5:])) for host in self.hosts]

    def add(self) -> str:
        self.hosts.append(f"host-{len(self.hosts) + 1}")
        return self.hosts[-1]

    def drain(self, worker: Worker) -> None:
        self.hosts.remove(worker.host)

    def close(self) -> None:
        pass


class Scaled:
    """An autoscaler over a server, with a clock that a test moves."""

    def __init__(self, url: str, name: str = "one") -> None:
        self.client, self.driver, self.at_s = connect(url), ListDriver(), 0.0
        self.store = AutoscalerStore(self.client)
        self.autoscaler = Autoscaler(
            name,
            POLICY,
            SignalReader(self.client),
            self.driver,
            self.store,
            lambda: self.at_s,
        )

    def step(self, seconds: float = 0.0) -> tuple[str, str]:
        self.at_s += seconds
        decision = self.autoscaler.step()
        return decision.direction.value, decision.reason


@pytest.fixture
def scaled(server):
    scaled = Scaled(server.url)
    yield scaled
    scaled.client.close()


def announce(client, worker: FakeWorker, host: str) -> None:
    RoleStore(client).announce(RunningRole(worker.name, "worker", ",".join(Lane), host, 1))


def test_a_backlog_adds_workers_and_idleness_removes_them_one_by_one(scaled, server, sender):
    """600 checks of 10 ms each are 6 s of work: three workers for a target of 2 s, in two steps."""
    worker = FakeWorker(server, scaled.client)
    announce(scaled.client, worker, "host-1")
    worker.record(block(n_checks=100, busy_s=1.0), covered_s=4.0)
    assert read_status(scaled.client).work_per_check_ms == pytest.approx(10.0)
    assert scaled.step() == ("hold", "at_minimum")

    ids = [sender.send(n_checks=200) for _ in range(3)]
    assert scaled.step(2) == ("up", "backlog")
    assert scaled.driver.hosts == ["host-1", "host-2"]
    assert scaled.step(2) == ("up", "backlog")
    assert len(scaled.driver.hosts) == 3
    assert scaled.step(2) == ("hold", "needed")
    report = scaled.store.read()
    assert (report.workers, report.last_change, report.last_change_ago_s) == (
        3,
        "2 -> 3: backlog",
        2.0,
    )
    assert report.work_s == pytest.approx(6.0)

    for one in ids:
        sender.broker.start(one, worker="w")
        sender.broker.finish(one, b"answer")
    assert scaled.step(2) == ("hold", "cooldown")
    assert scaled.step(60) == ("down", "idle")
    assert scaled.step(30) == ("hold", "cooldown")
    assert scaled.step(30) == ("down", "idle")
    assert scaled.driver.hosts == ["host-1"]
    assert scaled.step(600) == ("hold", "at_minimum")


def test_a_server_that_is_down_changes_nothing(scaled, sender):
    sender.send(n_checks=10_000)
    unreachable = Scaled("redis://127.0.0.1:1/0")

    with pytest.raises(TransportError):
        unreachable.step()
    assert unreachable.driver.hosts == ["host-1"]


def test_an_engine_that_is_down_changes_nothing_and_restarts_the_cooldown(scaled):
    scaled.driver.hosts = ["host-1", "host-2"]
    assert scaled.step() == ("hold", "cooldown")
    scaled.driver.fails = True
    assert scaled.step(59) == ("hold", "no_signals")
    report = scaled.store.read()
    assert (report.reason, report.workers, report.wanted) == ("no_signals", None, None)
    scaled.driver.fails = False

    assert scaled.step(1) == ("hold", "cooldown")
    assert scaled.step(59) == ("hold", "cooldown")
    assert scaled.step(1) == ("down", "idle")


def test_one_of_two_acts_until_it_exits(scaled, server):
    other = Scaled(server.url, "two")
    assert scaled.step() == ("hold", "at_minimum")

    assert other.step() == ("hold", "standby")
    other.store.unlock("two")
    assert scaled.step() == ("hold", "at_minimum")
    scaled.store.unlock("one")
    assert scaled.store.read() is None
    assert other.step() == ("hold", "at_minimum")
    other.client.close()


def test_lock_and_report_expire(scaled, server):
    scaled.step()

    for key in (AUTOSCALER_KEY, AUTOSCALER_LOCK_KEY):
        assert 0 < server.client.ttl(key) <= AUTOSCALER_TTL_S


def test_status_has_one_line_and_a_field_in_json(scaled, server, call):
    scaled.driver.hosts = []
    scaled.step()
    scaled.step(3)
    page = call("status", "--broker-url", server.url).stdout
    report = only_json(call("status", "--json", "--broker-url", server.url))["autoscaler"]

    assert "autoscaler: 1 (1-4), hold: at_minimum; 0 -> 1: too_few 3 s ago" in page
    assert (report["workers"], report["reason"], report["driver"]) == (1, "at_minimum", "list")


def test_decisions_are_counted_by_direction_and_reason(scaled):
    """And each metric is documented."""
    scaled.driver.hosts = []
    scaled.step()
    scaled.step()
    scaled.step()
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in scaled.autoscaler.collect()
        for sample in family.samples
    }
    page = (REPOSITORY / "docs" / "reference" / "metrics.md").read_text()

    prefix = "risk_tasks_autoscaler"
    assert found == {
        (f"{prefix}_workers",): 1,
        (f"{prefix}_wanted_workers",): 1,
        (f"{prefix}_min_workers",): 1,
        (f"{prefix}_max_workers",): 4,
        (f"{prefix}_decisions_total", "up", "too_few"): 1,
        (f"{prefix}_decisions_total", "hold", "at_minimum"): 2,
    }
    assert [name for name, *_ in found if f"`{name}" not in page] == []


def test_a_dry_run_decides_on_live_workers_and_stops_on_a_signal(server, tmp_path):
    """As a process of its own; it starts no workers and does not need an engine."""
    log = tmp_path / "log"
    settings = {
        "RISK_TASKS_BROKER_URL": server.url,
        "RISK_TASKS_AUTOSCALER_DRIVER": "dry-run",
        "RISK_TASKS_AUTOSCALER_EVERY_S": "0.1",
        "RISK_TASKS_METRICS_PORT": "0",
        "RISK_TASKS_HEARTBEAT_FILE": str(tmp_path / "heartbeat"),
        "PYTHONPATH": str(REPOSITORY),
    }
    with (
        connect(server.url) as client,
        running("-m", "workers.autoscaler", log=log, settings=settings) as process,
    ):
        read = AutoscalerStore(client).read
        report = wait_until(read, 30, "a report")
        assert (report.workers, report.wanted, report.reason) == (0, 1, "too_few")
        every = ",".join(Lane)
        for number, lanes in enumerate([every, every, "critical"]):
            RoleStore(client).announce(RunningRole(f"w-{number}", "worker", lanes, "host", 1))
        wait_until(lambda: read().workers == 2, 3, "two workers of all lanes")
        assert (tmp_path / "heartbeat").exists()
        assert ended(process, log) == 0
        assert read() is None

    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events[0] == "autoscaler.ready"
    assert events[-1] == "autoscaler.stopped"
    assert "autoscaler.decided" in events


def test_without_an_engine_it_exits_with_a_remedy(server, tmp_path):
    log = tmp_path / "log"
    settings = {
        "RISK_TASKS_BROKER_URL": server.url,
        "RISK_TASKS_AUTOSCALER_SOCKET": str(tmp_path / "none.sock"),
        "PYTHONPATH": str(REPOSITORY),
    }
    with running("-m", "workers.autoscaler", log=log, settings=settings) as process:
        assert process.wait(30) == 1

    assert "socket" in log.read_text()
    assert "Traceback" not in log.read_text()
