"""Records as a worker makes them."""

from __future__ import annotations

from typing import Any

from risk_tasks.metrics import BlockRecord, Outcome


def block(**fields: Any) -> BlockRecord:
    """A block of the normal lane that took 2 + 3 ms, unless the test says otherwise."""
    usual = {
        "lane": "normal",
        "outcome": Outcome.ANSWERED,
        "n_checks": 10,
        "n_errors": 0,
        "queued_s": 0.002,
        "fetch_s": 0.0005,
        "compute_s": 0.002,
        "busy_s": 0.003,
        "total_s": 0.005,
    }
    return BlockRecord(**{**usual, **fields})


def json_check(**fields: Any) -> BlockRecord:
    """A check of the JSON door, which knows no time of acceptance."""
    return block(n_checks=1, queued_s=None, total_s=None, **fields)
