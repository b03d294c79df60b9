"""A policy and signals for the tests."""

from __future__ import annotations

from risk_tasks.queues import Lane
from workers.autoscaler.policy import Policy, Signals

POLICY = Policy(
    min_workers=1,
    max_workers=8,
    targets_s={Lane.CRITICAL: 2.0, Lane.NORMAL: 2.0, Lane.BATCH: 30.0},
    up_factor=2.0,
    cooldown_s=60.0,
    settle_s=10.0,
)


def signals(n: int, **replaced: object) -> Signals:
    """Signals of `n` idle workers that all serve, with some of them replaced."""
    idle = {
        "n_ready": n,
        "oldest_age_s": dict.fromkeys(Lane),
        "work_s": dict.fromkeys(Lane, 0.0),
        "busy_share": 0.0,
    }
    return Signals(n_workers=n, **{**idle, **replaced})
