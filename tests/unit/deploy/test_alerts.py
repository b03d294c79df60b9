"""The alerts, evaluated by promtool: each fires in its own fault, and none without a fault."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import require
from tests.unit.deploy.expressions import ALERTS, DASHBOARD, DEPLOY, panels, queries, rules

ROOT = DEPLOY.parent
LANE = '{lane="normal"}'
CRITICAL = '{lane="critical"}'
OK = '{lane="normal",outcome="ok"}'
ERROR = '{lane="normal",outcome="error"}'
FAILED = '{lane="normal",outcome="failed"}'
LATENCY = "risk_tasks_check_latency_seconds_bucket"

#: a value every 15 s for half an hour; a series that changes at its end changed 45 s ago
HEALTHY = {
    "risk_tasks_broker_up": "1x120",
    f"risk_tasks_workers{LANE}": "2x120",
    "risk_tasks_default_market": "1x120",
    f"risk_tasks_lane_checks{LANE}": "1000x120",
    f"risk_tasks_lane_capacity_checks{LANE}": "500000x120",
    f"risk_tasks_lane_bytes{LANE}": "1000x120",
    f"risk_tasks_lane_capacity_bytes{LANE}": "1000000x120",
    f"risk_tasks_lane_oldest_age_seconds{LANE}": "0.2x120",
    f"risk_tasks_lane_oldest_age_seconds{CRITICAL}": "0.01x120",
    f"risk_tasks_orphaned_shards{LANE}": "0x112 3x6",
    "risk_tasks_live_oldest_dirty_seconds": "0.1x112 20x6",
    "risk_tasks_live_in_progress": "50x120",
    "risk_tasks_live_reports_total": "0+500x120",
    f'{LATENCY}{{lane="critical",le="0.025"}}': "0+100x120",
    f'{LATENCY}{{lane="critical",le="0.05"}}': "0+100x120",
    f'{LATENCY}{{lane="critical",le="0.06"}}': "0+100x120",
    f'{LATENCY}{{lane="critical",le="+Inf"}}': "0+100x120",
    "risk_tasks_busy_seconds_total": "0+6x120",
    "risk_tasks_threads": "1x120",
    f"risk_tasks_checks_total{OK}": "0+1000x120",
    f"risk_tasks_checks_total{ERROR}": "0+10x120",
    f"risk_tasks_blocks_total{FAILED}": "0x120",
    "risk_tasks_expired_checks_total": "7x120",
    "risk_tasks_requeued_blocks_total": "3x120",
    "risk_tasks_dead_letters_made_total": "2x120",
    "risk_tasks_quarantined_messages_total": "2x120",
    "risk_tasks_ledger_overdue_blocks": "0x120",
    "risk_tasks_cache_breaker_open": "0x120",
    "risk_tasks_cache_corrupt_entries_total": "2x120",
}

#: the series that differ in a fault, by the alert that fires
FAULTS: dict[str, dict[str, str | None]] = {
    "BrokerDown": {"risk_tasks_broker_up": "0x120"},
    "NoScheduler": {"risk_tasks_broker_up": None},
    "NoWorkers": {f"risk_tasks_workers{LANE}": "0x120"},
    "NoMarket": {"risk_tasks_default_market": "0x120"},
    "LaneFilling": {f"risk_tasks_lane_bytes{LANE}": "810000x120"},
    "LaneWaits": {f"risk_tasks_lane_oldest_age_seconds{CRITICAL}": "1.5x120"},
    "ShardsOrphaned": {f"risk_tasks_orphaned_shards{LANE}": "3x120"},
    "LiveWaits": {"risk_tasks_live_oldest_dirty_seconds": "16x120"},
    "SlowCritical": {
        f'{LATENCY}{{lane="critical",le="0.025"}}': "0+90x120",
        f'{LATENCY}{{lane="critical",le="0.05"}}': "0+95x120",
    },
    "WorkersBusy": {"risk_tasks_busy_seconds_total": "0+14x120"},
    "Errors": {f"risk_tasks_checks_total{ERROR}": "0+60x120"},
    "BlocksFail": {f"risk_tasks_blocks_total{FAILED}": "0x100 0+1x19"},
    "ChecksExpire": {"risk_tasks_expired_checks_total": "0+10x120"},
    "WorkersDie": {"risk_tasks_requeued_blocks_total": "0+1x120"},
    "DeadLetters": {"risk_tasks_dead_letters_made_total": "2x100 3x19"},
    "Malformed": {"risk_tasks_quarantined_messages_total": "2x100 3x19"},
    "LedgerOverdue": {"risk_tasks_ledger_overdue_blocks": "4x120"},
    "CacheAway": {"risk_tasks_cache_breaker_open": "1x120"},
    "CacheCorrupt": {"risk_tasks_cache_corrupt_entries_total": "2x100 3x19"},
}


@pytest.fixture(scope="module")
def promtool() -> str:
    return require("promtool")


def run(*arguments: object) -> None:
    done = subprocess.run(
        [str(word) for word in arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def case(series: dict[str, str], ringing: list[str]) -> dict[str, Any]:
    expected = [{"labels": f'{{alertname="RiskTasks{name}"}}', "value": 1} for name in ringing]
    return {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": "29m",
                "exp_samples": expected,
            }
        ],
    }


def check(promtool: str, folder: Path, *cases: dict[str, Any]) -> None:
    tests = {"rule_files": [str(ALERTS)], "evaluation_interval": "15s", "tests": list(cases)}
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump(tests))
    run(promtool, "test", "rules", path)


def test_the_rules_and_the_scrape_example_are_valid(promtool):
    """By promtool."""
    run(promtool, "check", "rules", ALERTS)
    run(promtool, "check", "config", ALERTS.with_name("prometheus.yml"))


def test_no_alert_fires_without_a_fault(promtool, tmp_path):
    """Counters still contain faults of the day before."""
    check(promtool, tmp_path, case(HEALTHY, []))


@pytest.mark.parametrize("name", FAULTS)
def test_each_alert_fires_in_its_fault_and_no_other_does(promtool, tmp_path, name):
    """All other series are healthy."""
    series = {key: values for key, values in {**HEALTHY, **FAULTS[name]}.items() if values}

    check(promtool, tmp_path, case(series, [name]))


NONE_RECORDED = {"risk_tasks_live_reports_total": "500x120"}


@pytest.mark.parametrize(
    ("series", "ringing"),
    [
        (NONE_RECORDED, ["LiveWaits"]),
        ({**NONE_RECORDED, "risk_tasks_live_in_progress": "0x120"}, []),
        ({**NONE_RECORDED, "risk_tasks_live_in_progress": "0 0 9 0x117"}, []),
    ],
    ids=["taken again and again", "nothing to compute", "one change at a scrape"],
)
def test_live_portfolios_that_are_taken_and_never_recorded_fire_an_alert(
    promtool, tmp_path, series, ringing
):
    check(promtool, tmp_path, case({**HEALTHY, **series}, ringing))


def test_each_alert_has_a_fault_here_and_first_steps_in_the_documentation():
    """Its runbook link leads to them."""
    assert [rule["alert"] for rule in rules()] == [f"RiskTasks{name}" for name in FAULTS]
    for rule in rules():
        page, anchor = rule["annotations"]["runbook"].split("#")
        heading = rf"^### {rule['alert']}\n"
        assert anchor == rule["alert"].lower()
        assert re.search(heading, (ROOT / page).read_text(), re.MULTILINE), rule["alert"]


def test_every_panel_has_a_title_and_a_description_and_no_two_overlap():
    """The grid has 24 columns."""
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["title"], DASHBOARD
        assert panel["description"].endswith(".")
        area = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(area["x"], area["x"] + area["w"])
            for y in range(area["y"], area["y"] + area["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


#: 50 checks a second of 10 ms each
WORKING = {
    **HEALTHY,
    f"risk_tasks_lane_checks{LANE}": "600x120",
    'risk_tasks_lane_checks{lane="batch"}': "3000x120",
    f"risk_tasks_checks_total{OK}": "0+750x120",
    f"risk_tasks_checks_total{ERROR}": "0x120",
    "risk_tasks_busy_seconds_total": "0+7.5x120",
}
ASLEEP = {**WORKING, f"risk_tasks_checks_total{OK}": "5x120"}


@pytest.mark.parametrize(
    ("series", "values"),
    [
        (WORKING, {"backlog": 6.0, "backlog-batch": 30.0, "oldest-age": 0.2, "busy": 0.5}),
        (ASLEEP, {"backlog": 0.0, "backlog-batch": 0.0}),
        ({"risk_tasks_threads": "1x120"}, dict.fromkeys(queries())),
    ],
    ids=["working", "nothing ended", "nothing scraped"],
)
def test_the_query_of_keda_returns_seconds_of_work_and_0_where_the_cost_is_unknown(
    promtool, tmp_path, series, values
):
    """600 checks of 10 ms are 6 s; 0 where the time of a check is not measured."""
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": shape} for name, shape in series.items()],
        "promql_expr_test": [
            {
                "expr": f"round({queries()[name]['query']}, 0.001)",
                "eval_time": "29m",
                "exp_samples": [] if value is None else [{"labels": "{}", "value": value}],
            }
            for name, value in values.items()
        ],
    }
    check(promtool, tmp_path, test)
