"""Metrics of real roles: slots on the server, endpoints for Prometheus, a log line per block."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from prometheus_client.parser import text_string_to_metric_families

from risk_tasks import Portfolio, RiskClient
from risk_tasks.connection import connect
from risk_tasks.embedding.fleet import free_port
from risk_tasks.keys import LIVE_DIRTY_KEY, SLOTS_KEY
from risk_tasks.monitoring.prometheus import ServerMetrics
from risk_tasks.monitoring.status import Status, read_status
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.store.recompute import RecomputeStore
from tests.integration.conftest import server_of_our_own
from tests.integration.support import books, ended, running, wait_until
from tests.unit.deploy.expressions import expressions, labels_in, metrics_in

pytestmark = pytest.mark.integration

STARTS_WITHIN_S = 90
N_GOOD, N_BAD = 40, 10
#: labels that Prometheus adds to every series, and that of the buckets of a histogram
LABELS_OF_OTHERS = {"job", "instance", "le"}


def lines(log: Path) -> list[dict[str, Any]]:
    """Return the log lines of a role, which are JSON."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def port(log: Path, event: str) -> int:
    """Return the metrics port of a role, from its log line `ready`."""
    found = wait_until(
        lambda: log.exists() and re.search(rf'"event": "{event}".*', log.read_text()),
        STARTS_WITHIN_S,
        event,
    )
    return int(re.search(r'"metrics_port": (\d+)', found[0])[1])


def scrape(at: int) -> dict[tuple[str, frozenset], float]:
    """Return all samples of an endpoint by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{at}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class System:
    """A worker and a scheduler after some checks, and their metrics."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.logs = {name: folder / f"{name}.log" for name in ("worker", "scheduler")}
        self.ports: dict[str, int] = {}

    def status(self) -> Status:
        with connect(self.url) as client:
            return read_status(client)

    def samples(self) -> dict[tuple[str, frozenset], float]:
        return {key: value for at in self.ports.values() for key, value in scrape(at).items()}


@pytest.fixture(scope="module")
def system(market, tmp_path_factory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("metrics")
    with ExitStack() as stack:
        server = stack.enter_context(server_of_our_own())
        system = System(server.url, folder)
        settings = {
            "RISK_TASKS_BROKER_URL": server.url,
            "RISK_TASKS_METRICS_PORT": "0",
            "RISK_TASKS_SHARDS": "4",
        }
        for name, log in system.logs.items():
            stack.enter_context(running("-m", "risk_tasks", name, log=log, settings=settings))
        for name, log in system.logs.items():
            system.ports[name] = port(log, f"{name}.ready")
        risk = stack.enter_context(RiskClient(server.url, timeout_s=30))
        risk.publish_market(market)
        bad = [Portfolio(f"hidden\x1b[2J\n-{n}", {"NOPE": 1.0}) for n in range(N_BAD)]
        risk.check_many([*books(N_GOOD, market.instruments), *bad])
        risk.check(Portfolio("urgent", {"AAPL": 1.0}), priority="critical")
        with Celery(broker=server.url, backend=server.url, set_as_current=False) as app:
            document = {"id": "door", "positions": {"AAPL": 1.0}}
            sent = app.send_task("risk.check", kwargs={"portfolio": document}, queue="risk.batch")
            assert sent.get(timeout=30)["status"] == "ok"
            app.pool.force_close_all()
        done = N_GOOD + N_BAD + 2
        wait_until(lambda: system.status().count == done, 20, "the slots")
        yield system


def test_every_metric_of_the_alerts_and_the_dashboard_exists(system):
    """And every label in their expressions."""
    samples = system.samples()
    names = {name for name, _ in samples}
    labels = {label for _, pairs in samples for label, _ in pairs} | LABELS_OF_OTHERS

    missing = {
        (what, name)
        for what, expression in expressions()
        for name in metrics_in(expression) - names
    }
    unknown = {
        (what, label)
        for what, expression in expressions()
        for label in labels_in(expression) - labels
    }

    assert missing == set()
    assert unknown == set()


def test_every_metric_is_documented_and_has_bounded_labels(system):
    """Names have one prefix; portfolios and workers are not labels."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text()
    allowed = {"lane", "tier", "outcome", "le", "version", "role"}

    for name, pairs in system.samples():
        assert name.startswith("risk_tasks_"), name
        assert {label for label, _ in pairs} <= allowed, name
        assert f"`{re.sub('_(bucket|count|sum)$', '', name)}" in page, name


def test_prometheus_and_status_count_the_same_checks(system):
    """By lane and by outcome."""
    samples, status = system.samples(), system.status()

    def checks(lane: str, outcome: str) -> float:
        labels = frozenset({("lane", lane), ("outcome", outcome)})
        return samples["risk_tasks_checks_total", labels]

    assert checks("normal", "ok") == N_GOOD
    assert checks("normal", "error") == N_BAD == status.lanes["normal"].errors
    assert checks("critical", "ok") == checks("batch", "ok") == 1
    assert status.lanes["normal"].count == N_GOOD + N_BAD
    assert status.error_rate == pytest.approx(N_BAD / status.count)
    assert samples["risk_tasks_workers", frozenset({("lane", "batch")})] == 1
    assert samples["risk_tasks_default_market", frozenset()] == 1


def test_the_times_of_a_check_in_the_log_are_consistent(system, market):
    """By the clock of the server, in microseconds; the total is not less than its parts."""
    with RiskClient(system.url, timeout_s=30) as risk:
        for _ in range(3):
            risk.check(Portfolio("timed", {"AAPL": 1.0}), priority="critical")
    logged = [line for line in lines(system.logs["worker"]) if line["event"] == "block.finished"]

    for line in logged:
        assert 0 <= line["queued_ms"] <= line["total_ms"]
        assert line["queued_ms"] + line["compute_ms"] <= line["total_ms"]
    assert any(line["queued_ms"] % 1 for line in logged), "in microseconds"


def test_a_block_has_one_line_and_no_line_holds_a_position(system):
    """It has ids, lane, counts and times."""
    logged = lines(system.logs["worker"])
    blocks = [line for line in logged if line["event"] == "block.finished"]

    assert len({line["block"] for line in blocks}) == len(blocks) >= 2
    normal = [line for line in blocks if line["lane"] == "normal"]
    assert sum(line["checks"] for line in normal) == N_GOOD + N_BAD
    assert sum(line["errors"] for line in normal) == N_BAD
    for line in blocks:
        assert {"market", "outcome", "fetch_ms", "compute_ms", "busy_ms"} <= set(line)
    (json_check,) = [line for line in logged if line["event"] == "check.finished"]
    assert (json_check["lane"], json_check["checks"]) == ("batch", 1)
    text = system.logs["worker"].read_text()
    assert "AAPL" not in text
    assert "hidden" not in text
    assert all(character.isprintable() or character == "\n" for character in text)


def test_look_ups_are_exposed_at_once(system, market):
    """A costly measure twice: first a miss in both tiers, then a hit in the local one."""

    def looked_up(tier: str, outcome: str) -> float:
        labels = frozenset({("tier", tier), ("outcome", outcome)})
        return system.samples()["risk_tasks_cache_look_ups_total", labels]

    before = {key: looked_up(*key) for key in (("local", "hit"), ("shared", "miss"))}
    with RiskClient(system.url, timeout_s=60) as risk:
        for _ in range(2):
            risk.check(Portfolio("costly", {"AAPL": 3.0}), measures=["monte_carlo_value_at_risk"])

    assert looked_up("local", "hit") == before["local", "hit"] + 1
    assert looked_up("shared", "miss") == before["shared", "miss"] + 1


def test_a_taken_port_stops_the_role_with_a_remedy(system, tmp_path):
    """Before it accepts work."""
    log = tmp_path / "log"
    settings = {
        "RISK_TASKS_BROKER_URL": system.url,
        "RISK_TASKS_METRICS_PORT": str(system.ports["worker"]),
    }
    with running("-m", "risk_tasks", "worker", log=log, settings=settings) as worker:
        assert worker.wait(60) == 1

    assert "RISK_TASKS_METRICS_PORT" in log.read_text()
    assert "worker.ready" not in log.read_text()


def test_a_worker_with_metrics_off_records_nothing(server, clients, market, tmp_path):
    """Neither on the server nor at a port; it still answers."""
    log, taken = tmp_path / "log", free_port()
    settings = {
        "RISK_TASKS_BROKER_URL": server.url,
        "RISK_TASKS_METRICS": "off",
        "RISK_TASKS_METRICS_PORT": str(taken),
    }
    with running("-m", "risk_tasks", "worker", log=log, settings=settings) as worker:
        risk = clients(server.url, timeout_s=STARTS_WITHIN_S)
        risk.publish_market(market)
        assert risk.check(Portfolio("p", {"AAPL": 1.0})).status == "ok"
        with pytest.raises(OSError, match="refused"):
            scrape(taken)
        assert ended(worker, log) == 0

    assert server.client.exists(SLOTS_KEY) == 0
    assert "metrics_port" not in log.read_text()


def test_a_scheduler_reports_that_the_server_is_down(tmp_path):
    """By one metric, instead of a failing scrape."""
    with connect("redis://127.0.0.1:1/0") as client:
        (up,) = ServerMetrics(client).collect()

    assert [(sample.name, sample.value) for sample in up.samples] == [("risk_tasks_broker_up", 0)]


def unlabelled(client) -> dict[str, float]:
    """Return the metrics of a scheduler that have no labels."""
    return {
        sample.name: sample.value
        for metric in ServerMetrics(client).collect()
        for sample in metric.samples
        if not sample.labels
    }


def test_a_portfolio_that_is_taken_repeatedly_is_never_dirty_for_long(server):
    """So the alert also uses the portfolios that are in progress while no report is recorded."""
    with connect(server.url) as client:
        PortfolioStore(client).set(Portfolio("p", {"AAPL": 1.0}))
        # It changed a minute ago.
        client.zadd(LIVE_DIRTY_KEY, {"p": server.now_ms() - 60_000})
        assert unlabelled(client)["risk_tasks_live_oldest_dirty_seconds"] >= 60
        store = RecomputeStore(client)

        for _ in range(2):
            assert len(store.take(limit=1, wait_ms=0, max_in_progress=10).attempts) == 1
            assert unlabelled(client)["risk_tasks_live_in_progress"] == 1
            assert store.retry(visibility_timeout_s=0, max_attempts=3) == []
            found = unlabelled(client)
            assert found["risk_tasks_live_dirty"] == 1
            assert found["risk_tasks_live_oldest_dirty_seconds"] < 60
            assert found["risk_tasks_live_reports_total"] == 0
