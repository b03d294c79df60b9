"""The job of a peer on a server of its own, so that what it leaves there burdens no other peer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers import job as jobs
from benchmarks.peers import run
from risk_tasks.embedding import FleetPlan, running_fleet
from risk_tasks.model.market import MarketSnapshot


def measure(peer: str, snapshot: MarketSnapshot, **terms: Any) -> dict[str, Any]:
    """Return what `benchmarks.peers.run.measure` does, for one round of `terms`."""
    with tempfile.TemporaryDirectory() as folder, running_fleet(FleetPlan(n_workers=0)) as bare:
        market = Path(folder) / "market.npz"
        jobs.write_market(market, snapshot.instruments, snapshot.prices, snapshot.returns)
        return run.measure(peer, broker_url=bare.url, market_path=market, n_rounds=1, **terms)
