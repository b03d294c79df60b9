"""What an autoscaler tells Prometheus."""

from __future__ import annotations

from collections import Counter

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from workers.autoscaler.policy import Decision, Policy


class AutoscalerMetrics:
    """Workers, how many are wanted, and decisions by direction and reason.

    Where workers cannot be told, their number is absent.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._workers: int | None = None
        self._wanted: int | None = None
        self._decisions: Counter[tuple[str, str]] = Counter()

    def count(self, n_workers: int | None, decision: Decision) -> None:
        self._workers, self._wanted = n_workers, decision.wanted
        self._decisions[decision.direction.value, decision.reason] += 1

    def collect(self) -> list[Metric]:
        gauges = {
            "workers": ("Workers that are meant to run.", self._workers),
            "wanted_workers": ("Workers that the last decision wants.", self._wanted),
            "min_workers": ("The least.", self._policy.min_workers),
            "max_workers": ("The most.", self._policy.max_workers),
        }
        decisions = CounterMetricFamily(
            "risk_tasks_autoscaler_decisions",
            "Looks, by what they led to.",
            labels=["direction", "reason"],
        )
        for (direction, reason), n in sorted(self._decisions.copy().items()):
            decisions.add_metric([direction, reason], n)
        return [
            *(
                GaugeMetricFamily(f"risk_tasks_autoscaler_{name}", meaning, value=value)
                for name, (meaning, value) in gauges.items()
                if value is not None
            ),
            decisions,
        ]
