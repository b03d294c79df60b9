"""A policy, and signals, to begin from."""

from __future__ import annotations

from risk_tasks.queues import Lane
from workers.autoscaler.policy import Policy, Signals

POLICY = Policy(
    min_workers=1,
    max_workers=8,
    targets_s={Lane.CRITICAL: 2.0, Lane.NORMAL: 2.0, Lane.BATCH: 30.0},
    up_factor=2.0,
    calm_s=60.0,
    settle_s=10.0,
)


def signals(n: int, **seen: object) -> Signals:
    """Signals of `n` workers that all serve and have nothing to do, but for what is `seen`."""
    quiet = {
        "n_ready": n,
        "oldest_age_s": dict.fromkeys(Lane),
        "work_s": dict.fromkeys(Lane, 0.0),
        "busy_share": 0.0,
    }
    return Signals(n_workers=n, **{**quiet, **seen})
