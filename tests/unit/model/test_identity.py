"""Ids depend on the content only, in any process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.scenario import Scenario


def ids() -> list[str]:
    """Return the ids of one market and of one limit set that use every kind of input."""
    market = MarketSnapshot(
        datetime(2024, 5, 1, 12, 30, 0, 5, tzinfo=UTC),
        ["AAPL", "XOM", "Ö"],
        [10.0, 20.5, -0.125],
        [[0.5, -0.25, float("nan")], [0.0, 0.125, 1e-9]],
        scenarios={
            name: Scenario({f"{name}{i}": i / 8 for i in range(9)}, others=others)
            for name, others in (("crash", None), ("rally", 0.25))
        },
    )
    scope = {f"tag {i}": ["a", "b"] for i in range(9)}
    limits = LimitSet("s", [Limit("value_at_risk@0.95", warn=1, hard=2, applies_to=scope, id="v")])
    return [market.id, market.panel_id, limits.version]


def test_ids_are_the_same_in_every_process():
    """Hash seeds differ between processes; SHA-256 of canonical bytes does not."""
    code = f"import json; from {__name__} import ids; print(json.dumps(ids()))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        for seed in ("1", "4242")
    ]

    assert [json.loads(run.stdout) for run in runs] == [ids(), ids()]


def test_ids_are_whole_hashes():
    """Three contents, three ids of 64 hexadecimal digits."""
    found = ids()

    assert len(set(found)) == 3
    assert all(len(each) == 64 and set(each) <= set("0123456789abcdef") for each in found)
