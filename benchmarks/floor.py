"""The floor: bare Redis lists, worker processes and our kernels.

No Celery, names, versions, ledger or statuses: arrays in, arrays out. The time of `check_table`
beyond this is the price of all of them.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import NormalDist

import numpy as np
import redis

from benchmarks import inputs
from risk_tasks.engine import MarketArrays
from risk_tasks.kernels.history import expected_shortfall, outcomes, value_at_risk
from risk_tasks.kernels.positions import concentration, exposure

JOBS, N_COLUMNS, N_CHECKS = "floor:jobs", 12, 5_000
_N_OBSERVATIONS, _N_WORST = 250, 4
_REACH = -NormalDist().inv_cdf((2 * _N_WORST + 4) / _N_OBSERVATIONS)
_Z = NormalDist().inv_cdf(0.99)


def compute(
    market: MarketArrays, offsets: np.ndarray, instrument: np.ndarray, quantity: np.ndarray
) -> np.ndarray:
    """Return the standard set, (12, P)."""
    p = len(offsets) - 1
    value = quantity * market.prices[instrument]
    sums, shares, out = np.empty((p, 4)), np.empty((p, 2)), np.empty((N_COLUMNS, p))
    exposure(offsets, value, sums)
    gross = np.ascontiguousarray(sums[:, 3])
    concentration(offsets, value, gross, shares)
    tail, count, deviation = np.empty((p, _N_WORST)), np.empty(p, dtype=np.int64), np.empty(p)
    outcomes(offsets, instrument, value, market.panel, _REACH, tail, count, deviation)
    rank = np.full(p, 2)
    out[0], out[1], out[2] = sums[:, 0], gross, sums[:, 0]
    out[3:5], out[5], out[6:8] = sums[:, 1:3].T, gross / 1e7, shares.T
    out[8], out[9] = deviation, _Z * deviation
    value_at_risk(tail, rank, np.zeros(p), out[10])
    expected_shortfall(tail, np.full(p, 3), np.full(p, 2.5), out[11])
    return out


def work(url: str) -> None:
    """Serve jobs until the process is killed."""
    client = redis.Redis.from_url(url, socket_timeout=None)
    market = MarketArrays.of(inputs.market(_N_OBSERVATIONS))
    while True:
        _, job = client.brpop([JOBS])
        reply, index, n = job[:32], job[32:40], int.from_bytes(job[40:48], "little")
        offsets = np.frombuffer(job, np.int64, n + 1, 48)
        at = 48 + 8 * (n + 1)
        instrument = np.frombuffer(job, np.int32, offsets[-1], at).astype(np.int64)
        quantity = np.frombuffer(job, np.float64, offsets[-1], at + 4 * int(offsets[-1]))
        out = compute(market, offsets.copy(), instrument, quantity)
        client.rpush(reply, index + out.tobytes())


@contextmanager
def running_workers(url: str, n: int) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.floor", url]
    root = Path(__file__).parents[1]
    workers = [subprocess.Popen(command, cwd=root) for _ in range(n)]
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()


def run(client: redis.Redis, instrument: np.ndarray, quantity: np.ndarray) -> np.ndarray:
    """Return the answers, (12, P): blocks of 5,000 out, blocks of answers in."""
    reply, n_total = uuid.uuid4().hex.encode(), len(quantity) // inputs.N_POSITIONS
    out, codes = np.empty((N_COLUMNS, n_total)), instrument.astype(np.int32)
    starts = range(0, n_total, N_CHECKS)
    for start in starts:
        stop = min(start + N_CHECKS, n_total)
        held = slice(start * inputs.N_POSITIONS, stop * inputs.N_POSITIONS)
        offsets = np.arange(stop - start + 1) * inputs.N_POSITIONS
        head = reply + start.to_bytes(8, "little") + (stop - start).to_bytes(8, "little")
        parts = (head, offsets.tobytes(), codes[held].tobytes(), quantity[held].tobytes())
        client.lpush(JOBS, b"".join(parts))
    for _ in starts:
        _, answer = client.blpop([reply])
        start = int.from_bytes(answer[:8], "little")
        values = np.frombuffer(answer, np.float64, offset=8).reshape(N_COLUMNS, -1)
        out[:, start : start + values.shape[1]] = values
    return out


if __name__ == "__main__":
    work(sys.argv[1])
