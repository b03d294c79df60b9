"""The job of the workers of every peer: one check of one portfolio with NumPy, or a no-op."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

MARKET_VARIABLE = "PEERS_MARKET"

CONFIDENCE = 0.99
_Z = NormalDist().inv_cdf(CONFIDENCE)

FloatArray = npt.NDArray[np.float64]


class Market(NamedTuple):
    #: the index of each instrument in the arrays
    index: dict[str, int]
    prices: FloatArray
    #: returns, a row per instrument
    panel: FloatArray


@cache
def market() -> Market:
    """Load the market that the environment names; each process does so once."""
    with np.load(os.environ[MARKET_VARIABLE]) as file:
        index = {name: index for index, name in enumerate(file["instruments"].tolist())}
        return Market(index, file["prices"], np.ascontiguousarray(file["returns"].T))


def write_market(
    path: Path, instruments: list[str], prices: FloatArray, returns: FloatArray
) -> None:
    """Write a market that `market` loads; `returns` has a row per day."""
    np.savez(path, instruments=np.array(instruments), prices=prices, returns=returns)


def check(portfolio: dict[str, Any]) -> dict[str, float]:
    """Compute the measures of {"id": ..., "positions": {instrument: quantity}}."""
    return check_in(market(), portfolio)


def check_in(market: Market, portfolio: Mapping[str, Any]) -> dict[str, float]:
    """Do the same in `market`."""
    index, prices, panel = market
    positions = portfolio["positions"]
    held = [index[name] for name in positions]
    value = np.fromiter(positions.values(), np.float64, len(positions)) * prices[held]
    size = np.abs(value)
    gross, net = float(size.sum()), float(value.sum())
    share = size / gross
    pnl = value @ panel[held]
    volatility = float(pnl.std(ddof=1))
    n_tail = pnl.size * (1 - CONFIDENCE)
    # Rounded, because 250 x (1 - 0.99) is a little more than 2.5 in binary.
    n_tail = round(n_tail, 9)
    rank = int(n_tail)
    worst = np.sort(np.partition(pnl, rank)[: rank + 1])
    # The worst 2.5 of 250 outcomes: two in full, and the third by half.
    shortfall = float(worst[:rank].sum() + (n_tail - rank) * worst[rank]) / n_tail
    return {
        "market_value": net,
        "gross_exposure": gross,
        "net_exposure": net,
        "long_exposure": (gross + net) / 2,
        "short_exposure": (gross - net) / 2,
        "concentration": float(share.max()),
        "herfindahl": float(share @ share),
        "volatility": volatility,
        "value_at_risk": -float(worst[rank]),
        "expected_shortfall": -shortfall,
        "parametric_value_at_risk": _Z * volatility,
    }


def noop(argument: Any) -> Any:
    return argument


JOBS: dict[str, Callable[[Any], Any]] = {"check": check, "noop": noop}


def arguments(job: str, count: int) -> list[Any]:
    """Return the arguments of `count` jobs, the same in every run: portfolios; numbers for noop."""
    if job == "noop":
        return list(range(count))
    rng = np.random.default_rng(7)
    names = list(market().index)
    return [
        {
            "id": f"p{number}",
            "positions": {
                names[index]: float(rng.normal(0, 1_000))
                for index in rng.choice(len(names), 20, replace=False)
            },
        }
        for number in range(count)
    ]
