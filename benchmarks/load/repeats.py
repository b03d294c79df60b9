"""A costly measure that is requested repeatedly: the purpose of the result cache."""

from __future__ import annotations

import statistics
import time

import pyarrow as pa

from benchmarks.load.books import table_request
from benchmarks.load.figures import Repeats
from risk_tasks.client import RiskClient
from risk_tasks.connection import connect
from risk_tasks.keys import SLOT_S
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.monitoring.status import read_status

_MEASURES = ("monte_carlo_value_at_risk", "monte_carlo_expected_shortfall")
#: workers write their counters once a second
_WRITTEN_WITHIN_S = 2.0


def measure(url: str, table: pa.Table, n_repeats: int) -> Repeats:
    """Check once, then `n_repeats` times; the misses of the first call are included.

    The seed of the paths is unique to this run, so that no result is cached before it.
    """
    began = time.monotonic()
    settings = MeasureSettings(seed=time.time_ns() % 2**62)
    with RiskClient(url, timeout_s=120) as risk, connect(url) as client:
        request = table_request(risk, table, measures=_MEASURES, settings=settings)
        took_ms = []
        for _ in range(n_repeats + 1):
            started = time.perf_counter()
            n_portfolios, _ = request()
            took_ms.append((time.perf_counter() - started) * 1e3)
        time.sleep(_WRITTEN_WITHIN_S)
        window_s = time.monotonic() - began + 2 * SLOT_S
        ratio = read_status(client, window_s).cache_hit_ratio
    return Repeats(n_portfolios, n_repeats, took_ms[0], statistics.median(took_ms[1:]), ratio)
