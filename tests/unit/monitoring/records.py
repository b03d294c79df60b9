"""Records of a worker."""

from __future__ import annotations

from typing import Any

from risk_tasks.metrics import BlockOutcome, BlockRecord


def block(**fields: Any) -> BlockRecord:
    """A block of the normal lane that took 2 + 3 ms; a test replaces some fields."""
    usual = {
        "lane": "normal",
        "outcome": BlockOutcome.ANSWERED,
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
    """A JSON check, which has no time of acceptance."""
    return block(n_checks=1, queued_s=None, total_s=None, **fields)
