"""The autoscaler over a real server: what it sees, what it does about it, and what it tells."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from risk_tasks.connection import connect
from risk_tasks.errors import TransportError
from risk_tasks.keys import AUTOSCALER_KEY, AUTOSCALER_LOCK_KEY, AUTOSCALER_TTL_S
from risk_tasks.monitoring.status import read_status
from risk_tasks.queues import Lane
from risk_tasks.store.roles import AutoscalerStore, LiveRole, RoleStore
from tests.integration.support import REPOSITORY, ended, only_json, running, wait_until
from tests.integration.test_status import Hand
from tests.unit.monitoring.records import block
from workers.autoscaler.driver import EngineError, Worker
from workers.autoscaler.loop import Autoscaler
from workers.autoscaler.metrics import AutoscalerMetrics
from workers.autoscaler.policy import Policy
from workers.autoscaler.signals import SignalReader

pytestmark = pytest.mark.integration

POLICY = Policy(
    min_workers=1,
    max_workers=4,
    targets_s=dict.fromkeys(Lane, 2.0),
    up_factor=2.0,
    calm_s=60.0,
    settle_s=10.0,
)


@dataclass
class Shelf:
    """A driver whose workers are names in a list."""

    name: str = "shelf"
    hosts: list[str] = field(default_factory=lambda: ["host-1"])
    fails: bool = False

    def workers(self) -> list[Worker]:
        if self.fails:
            raise EngineError("It is away.")
        return [Worker(host, host, host, int(host[5:])) for host in self.hosts]

    def add(self) -> str:
        self.hosts.append(f"host-{len(self.hosts) + 1}")
        return self.hosts[-1]

    def drain(self, worker: Worker) -> None:
        self.hosts.remove(worker.host)

    def close(self) -> None:
        pass


class Ruled:
    """An autoscaler over `server` whose time a test moves."""

    def __init__(self, url: str, name: str = "one") -> None:
        self.client, self.driver, self.at_s = connect(url), Shelf(), 0.0
        self.store, self.metrics = AutoscalerStore(self.client), AutoscalerMetrics(POLICY)
        self.loop = Autoscaler(
            name,
            POLICY,
            SignalReader(self.client),
            self.driver,
            self.store,
            self.metrics,
            lambda: self.at_s,
        )

    def looks(self, seconds: float = 0.0) -> tuple[str, str]:
        self.at_s += seconds
        decision = self.loop.look()
        return decision.direction.value, decision.reason


@pytest.fixture
def ruled(server):
    ruled = Ruled(server.url)
    yield ruled
    ruled.client.close()


def lives(client, hand: Hand, host: str) -> None:
    RoleStore(client).announce(LiveRole(hand.name, "worker", ",".join(Lane), host, 1))


def test_a_backlog_adds_workers_and_calm_takes_them_one_by_one(ruled, server, sender):
    """600 checks of 10 ms each are 6 s of work: three workers for a target of 2 s, in two steps."""
    worker = Hand(server, ruled.client)
    lives(ruled.client, worker, "host-1")
    worker.did(block(n_checks=100, busy_s=1.0), covered_s=4.0)
    assert read_status(ruled.client).work_per_check_ms == pytest.approx(10.0)
    assert ruled.looks() == ("hold", "at_minimum")

    ids = [sender.send(n_checks=200) for _ in range(3)]
    assert ruled.looks(2) == ("up", "backlog")
    assert ruled.driver.hosts == ["host-1", "host-2"]
    assert ruled.looks(2) == ("up", "backlog")
    assert len(ruled.driver.hosts) == 3
    assert ruled.looks(2) == ("hold", "needed")
    told = ruled.store.read()
    assert (told.workers, told.last_change, told.last_change_ago_s) == (3, "2 -> 3: backlog", 2.0)
    assert told.work_s == pytest.approx(6.0)

    for one in ids:
        sender.broker.start(one, worker="w")
        sender.broker.finish(one, b"answer")
    assert ruled.looks(2) == ("hold", "calm")
    assert ruled.looks(60) == ("down", "calm")
    assert ruled.looks(30) == ("hold", "calm")
    assert ruled.looks(30) == ("down", "calm")
    assert ruled.driver.hosts == ["host-1"]
    assert ruled.looks(600) == ("hold", "at_minimum")


def test_a_server_that_is_away_changes_nothing(ruled, sender):
    sender.send(n_checks=10_000)
    unreachable = Ruled("redis://127.0.0.1:1/0")

    with pytest.raises(TransportError):
        unreachable.looks()
    assert unreachable.driver.hosts == ["host-1"]


def test_an_engine_that_is_away_changes_nothing_and_breaks_the_calm(ruled):
    ruled.driver.hosts = ["host-1", "host-2"]
    assert ruled.looks() == ("hold", "calm")
    ruled.driver.fails = True
    assert ruled.looks(59) == ("hold", "blind")
    told = ruled.store.read()
    assert (told.reason, told.workers, told.wanted) == ("blind", None, None)
    ruled.driver.fails = False

    assert ruled.looks(1) == ("hold", "calm")
    assert ruled.looks(59) == ("hold", "calm")
    assert ruled.looks(1) == ("down", "calm")


def test_only_one_of_two_acts_and_the_other_takes_over_when_it_goes(ruled, server):
    other = Ruled(server.url, "two")
    assert ruled.looks() == ("hold", "at_minimum")

    assert other.loop.look() is None
    other.store.give_back("two")
    assert ruled.looks() == ("hold", "at_minimum")
    ruled.store.give_back("one")
    assert ruled.store.read() is None
    assert other.looks() == ("hold", "at_minimum")
    other.client.close()


def test_what_it_tells_goes_with_it(ruled, server):
    ruled.looks()

    for key in (AUTOSCALER_KEY, AUTOSCALER_LOCK_KEY):
        assert 0 < server.client.ttl(key) <= AUTOSCALER_TTL_S


def test_status_shows_it_in_one_line_and_in_json(ruled, server, call):
    ruled.driver.hosts = []
    ruled.looks()
    ruled.looks(3)
    page = call("status", "--broker-url", server.url).stdout
    told = only_json(call("status", "--json", "--broker-url", server.url))["autoscaler"]

    assert "autoscaler: 1 (1-4), hold: at_minimum; 0 -> 1: too_few 3 s ago" in page
    assert (told["workers"], told["reason"], told["driver"]) == (1, "at_minimum", "shelf")


def test_decisions_are_counted_by_direction_and_reason(ruled):
    """And each metric is in the documents."""
    ruled.driver.hosts = []
    ruled.looks()
    ruled.looks()
    ruled.looks()
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in ruled.metrics.collect()
        for sample in family.samples
    }
    page = (REPOSITORY / "docs" / "guides" / "monitoring.md").read_text()

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


def test_a_dry_run_decides_on_live_workers_and_ends_when_it_is_asked_to(server, tmp_path):
    """As a process of its own; it starts nothing and needs no engine."""
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
        told = wait_until(read, 30, "a report")
        assert (told.workers, told.wanted, told.reason) == (0, 1, "too_few")
        every = ",".join(Lane)
        for number, lanes in enumerate([every, every, "critical"]):
            RoleStore(client).announce(LiveRole(f"w-{number}", "worker", lanes, "host", 1))
        wait_until(lambda: read().workers == 2, 3, "two workers of all lanes")
        assert (tmp_path / "heartbeat").exists()
        assert ended(process, log) == 0
        assert read() is None

    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events[0] == "autoscaler.ready"
    assert events[-1] == "autoscaler.stopped"
    assert "autoscaler.decided" in events


def test_an_engine_that_cannot_be_reached_ends_it_with_a_remedy(server, tmp_path):
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
