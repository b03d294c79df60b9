"""The engine that a queue replaces: checks computed sequentially in one process in plain NumPy."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from benchmarks.load.figures import Measurement, times_of
from benchmarks.peers import job
from risk_tasks.histograms import Durations
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio


class SequentialEngine:
    """The workers of other queues in `benchmarks.peers` compute the same, behind their queues."""

    def __init__(self, snapshot: MarketSnapshot) -> None:
        index = {name: index for index, name in enumerate(snapshot.instruments)}
        panel = np.ascontiguousarray(snapshot.returns.T)
        self._market = job.Market(index, np.asarray(snapshot.prices), panel)

    def check(self, portfolio: Portfolio) -> dict[str, float]:
        return job.check_in(self._market, {"positions": portfolio.positions})

    def measure(self, portfolios: Sequence[Portfolio], n_rounds: int) -> Measurement:
        """All checks are outstanding from the start of a round; each waits for those before it."""
        rounds, took_s = [], 0.0
        for _ in range(n_rounds):
            ended: list[float] = []
            started = time.perf_counter()
            for portfolio in portfolios:
                self.check(portfolio)
                ended.append(time.perf_counter())
            took_s += ended[-1] - started
            times = Durations()
            for end in ended:
                times.add(end - started)
            rounds.append(times)
        return Measurement(times_of(rounds), len(portfolios) * n_rounds / took_s, 0)
