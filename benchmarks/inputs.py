"""The market and the portfolios of every benchmark: the same in every run."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.scenario import Scenario

N_INSTRUMENTS, N_POSITIONS = 500, 20


def market(n_observations: int) -> MarketSnapshot:
    rng = np.random.default_rng(7)
    return MarketSnapshot(
        datetime(2026, 1, 2, tzinfo=UTC),
        [f"I{i}" for i in range(N_INSTRUMENTS)],
        rng.uniform(10, 500, N_INSTRUMENTS),
        rng.normal(0, 0.01, (n_observations, N_INSTRUMENTS)),
        scenarios={"fall": Scenario({"I1": -0.3}, others=-0.2)},
    )


def arrays(n_portfolios: int) -> tuple[np.ndarray, np.ndarray]:
    """Return instruments and quantities, (P x 20,) each, no instrument twice in a portfolio."""
    rng = np.random.default_rng(8)
    draws = rng.random((n_portfolios, N_INSTRUMENTS), dtype=np.float32)
    instrument = np.argpartition(draws, N_POSITIONS, axis=1)[:, :N_POSITIONS]
    return instrument.ravel().astype(np.int64), rng.normal(0, 1_000, instrument.size)


def portfolios(n_portfolios: int) -> list[Portfolio]:
    instrument, quantity = arrays(n_portfolios)
    held = [f"I{i}" for i in instrument]
    return [
        Portfolio(
            f"p{number}",
            dict(
                zip(
                    held[number * N_POSITIONS : (number + 1) * N_POSITIONS],
                    quantity[number * N_POSITIONS : (number + 1) * N_POSITIONS].tolist(),
                    strict=True,
                )
            ),
            nav=1e7,
        )
        for number in range(n_portfolios)
    ]


def table(n_portfolios: int, *, encoded: bool) -> pa.Table:
    """Return the positions as a table, its ids dictionary-encoded or plain texts."""
    instrument, quantity = arrays(n_portfolios)
    owner = np.repeat(np.arange(n_portfolios, dtype=np.int32), N_POSITIONS)
    columns = {
        "portfolio_id": pa.DictionaryArray.from_arrays(
            owner, [f"portfolio-{number}" for number in range(n_portfolios)]
        ),
        "instrument": pa.DictionaryArray.from_arrays(
            instrument.astype(np.int32), [f"I{i}" for i in range(N_INSTRUMENTS)]
        ),
    }
    if not encoded:
        columns = {name: column.cast(pa.string()) for name, column in columns.items()}
    return pa.table(columns | {"quantity": quantity})
