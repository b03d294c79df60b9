"""The metrics of a worker, read by the parser of Prometheus."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from risk_tasks.metrics import BlockOutcome
from risk_tasks.monitoring.prometheus import BOUNDS_S, WorkerMetrics
from tests.unit.monitoring.records import block, json_check

LANES = ("critical", "normal", "batch")


def shown(metrics: WorkerMetrics) -> dict[tuple, float]:
    """Return every sample by its name and its labels."""
    registry = CollectorRegistry()
    registry.register(metrics)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_lane_and_outcome_starts_at_zero():
    """A rate needs a series before the first event."""
    samples = shown(WorkerMetrics(threads=3))

    assert samples["risk_tasks_threads",] == 3
    for lane in LANES:
        for outcome in ("ok", "error", "failed"):
            assert samples["risk_tasks_checks_total", lane, outcome] == 0
        for outcome in ("answered", "failed", "duplicate"):
            assert samples["risk_tasks_blocks_total", lane, outcome] == 0
        for name in ("latency", "queued", "compute"):
            assert samples[f"risk_tasks_check_{name}_seconds_count", lane] == 0


def test_checks_are_counted_by_outcome():
    """Errors of rows and failed blocks are separate; duplicates are not counted again."""
    metrics = WorkerMetrics(threads=1)
    metrics.count(
        [
            block(n_checks=10, n_errors=4),
            block(outcome=BlockOutcome.FAILED, n_checks=5, n_errors=5),
            block(outcome=BlockOutcome.DUPLICATE, n_checks=100, total_s=None),
            json_check(lane="batch"),
        ]
    )
    samples = shown(metrics)

    checks = [samples["risk_tasks_checks_total", "normal", o] for o in ("ok", "error", "failed")]
    blocks = [
        samples["risk_tasks_blocks_total", "normal", o] for o in ("answered", "failed", "duplicate")
    ]
    assert checks == [6, 4, 5]
    assert blocks == [1, 1, 1]
    assert samples["risk_tasks_checks_total", "batch", "ok"] == 1
    assert samples["risk_tasks_check_latency_seconds_count", "batch"] == 0
    assert samples["risk_tasks_busy_seconds_total",] == pytest.approx(4 * 0.003)


@given(st.lists(st.tuples(st.floats(0, 60), st.integers(1, 1_000)), max_size=20))
def test_buckets_count_each_check_at_or_below_their_bound(pairs):
    metrics = WorkerMetrics(threads=1)
    metrics.count([block(total_s=seconds, n_checks=n) for seconds, n in pairs])
    samples = shown(metrics)

    name = "risk_tasks_check_latency_seconds"
    for bound in BOUNDS_S:
        expected = sum(n for seconds, n in pairs if seconds <= bound)
        assert samples[f"{name}_bucket", "normal", str(bound)] == expected
    assert samples[f"{name}_bucket", "normal", "+Inf"] == sum(n for _, n in pairs)
    assert samples[f"{name}_sum", "normal"] == pytest.approx(sum(s * n for s, n in pairs))
