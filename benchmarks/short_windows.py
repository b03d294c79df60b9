"""How many books have a short window, what it does to a value-at-risk, and what the ways out do.

The first table simulates listings: which share of books each threshold calls short. The second
reads real prices: the value-at-risk of the last part of a window, relative to that of the whole.
The third makes a share of each book young, and compares the ways out with its full history.

    python -m benchmarks.short_windows [PRICES]

`PRICES` is a table of daily prices; without it the sample is read.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from benchmarks.output import write_document
from risk_tasks import sample
from risk_tasks.engine import MarketArrays, PortfolioBlock, compute, scaling
from risk_tasks.engine.window import LEAST_SHARE
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.readers import read_market

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

N_BOOKS, YEAR = 4_000, 252
SHARES = (0.25, 0.5, 0.6, 0.75, 0.8, 0.9)
WINDOWS = (250, 500, 1_000)
#: positions, new listings among 500 shares in a year, and the years that a new share is kept out
BOOKS = {
    "20 shares older than the window": (20, 0.0, 0.0),
    "20 of a large index, new shares after a year": (20, 25.0, 1.0),
    "20 of all listed shares": (20, 25.0, 0.0),
    "50 of all listed shares": (50, 25.0, 0.0),
    "200 of all listed shares": (200, 25.0, 0.0),
    "index of 500, spin-offs at once": (500, 3.0, 0.0),
    "index of 500, new shares after a year": (500, 10.0, 1.0),
    "10 recent listings (last three years)": (10, 167.0, 0.0),
}


def shares_of_window(
    dice: np.random.Generator, n_positions: int, listings: float, wait: float, window: int
) -> np.ndarray:
    """Return the least share (N_BOOKS,) of the window that a position of each book covers.

    A share of 500 is replaced by a new one `listings` times a year; so ages are exponential.
    """
    if listings == 0.0:
        return np.ones(N_BOOKS)
    ages = wait + dice.exponential(500.0 / listings, (N_BOOKS, n_positions))
    covered: np.ndarray = np.minimum(1.0, ages.min(axis=1) * YEAR / window)
    return covered


def errors(returns: np.ndarray, window: int, share: float, dice: np.random.Generator) -> np.ndarray:
    """Return the 99 % VaR of the last `share` of each window, over that of the whole window.

    The books are long, of 5 to 20 instruments with random weights; windows start every 20 days.
    """
    n_rows, n = returns.shape
    ratios = []
    for stop in range(window, n_rows + 1, 20):
        past = returns[stop - window : stop]
        for _ in range(4):
            held = dice.choice(n, dice.integers(min(5, n), n + 1), replace=False)
            pnl = past[:, held] @ dice.dirichlet(np.ones(len(held)))
            ratios.append(_var(pnl[-int(share * window) :]) / _var(pnl))
    return np.array(ratios)


def ways_out(returns: FloatArray, share: float, dice: np.random.Generator) -> dict[str, FloatArray]:
    """Return the 99 % VaR by each way, over that of the full history, for books of 10 positions.

    Three positions, together about `share` of the book, have the last fifth of 1,000 returns only;
    one book in two is long, the others are long and short. The proxy is the mean of the others.
    """
    n_rows, n = returns.shape
    found: dict[str, list[float]] = {"common": [], "per_instrument": [], "proxy": []}
    for stop in range(1_000, n_rows + 1, 10):
        past = returns[stop - 1_000 : stop]
        held = dice.choice(n, min(10, n), replace=False)
        weight = np.concatenate(
            [
                share * dice.dirichlet(np.ones(3)),
                (1 - share) * dice.dirichlet(np.ones(len(held) - 3)),
            ]
        )
        if dice.random() < 0.5:
            weight *= dice.choice([1.0, -1.0], len(held))
        true = _var(past[:, held] @ weight)
        late = past.copy()
        late[:800, held[:3]] = np.nan
        filled = late.copy()
        filled[:800, held[:3]] = np.nanmean(late[:800], axis=1, keepdims=True)
        for way, panel in (("common", late), ("per_instrument", late), ("proxy", filled)):
            history = way if way == "per_instrument" else "common"
            found[way].append(_engine_var(panel, held, weight, history) / true)
    return {way: np.array(ratios) for way, ratios in found.items()}


def _engine_var(returns: FloatArray, held: IntArray, weight: FloatArray, history: str) -> float:
    names = [f"I{i}" for i in range(returns.shape[1])]
    market = MarketSnapshot(datetime(2026, 1, 1, tzinfo=UTC), names, np.ones(len(names)), returns)
    unknown = np.array([np.nan])
    block = PortfolioBlock(np.array([0, len(held)]), held, weight, unknown, unknown)
    name = MeasureName("value_at_risk")
    settings = MeasureSettings(history=history)
    return float(compute(block, MarketArrays.of(market), [name], settings)[name].values[0])


def _var(pnl: np.ndarray) -> float:
    rank = int(np.ceil(len(pnl) / 100)) - 1
    return -float(np.partition(pnl, rank)[rank])


def run(prices: str | None = None) -> None:
    dice = np.random.default_rng(19)
    rows = {}
    print(f"{'share of books with a short window':<42}{'window':>7}", end="")
    print("".join(f"{share:>8.0%}" for share in SHARES))
    for label, (n_positions, listings, wait) in BOOKS.items():
        for window in WINDOWS:
            covered = shares_of_window(dice, n_positions, listings, wait, window)
            found = [float((covered < share).mean()) for share in SHARES]
            rows[f"{label}, {window}"] = dict(zip(map(str, SHARES), found, strict=True))
            print(f"{label:<42}{window:>7}" + "".join(f"{one:>8.1%}" for one in found))
    returns = read_market(prices or sample.PRICES).returns
    returns = returns[:, ~np.isnan(returns).any(axis=0)]
    print(f"\n{'VaR of a part / of the window':<35}{'share':>7}{'p5':>8}{'p50':>8}{'< 0.8':>8}")
    for window in WINDOWS:
        for share in (0.13, *SHARES):
            if int(share * window) < 100:
                continue
            ratio = errors(returns, window, share, dice)
            low, middle = np.percentile(ratio, [5, 50])
            below = float((ratio < 0.8).mean())
            rows[f"error, {window}, {share}"] = {"p5": low, "p50": middle, "below 0.8": below}
            print(f"window {window:<28}{share:>7.0%}{low:>8.2f}{middle:>8.2f}{below:>8.1%}")
    print(
        f"\n{'VaR / of the full history':<35}{'young':>7}{'p5':>8}{'p50':>8}{'p95':>8}{'< 0.8':>8}"
    )
    # Without its bound, which this table decides.
    scaling.LEAST_COVERAGE = 0.0
    for share in (0.01, 0.1, 0.25, 0.4, 0.5):
        for way, ratio in ways_out(returns, share, dice).items():
            low, middle, high = np.percentile(ratio, [5, 50, 95])
            below = float((ratio < 0.8).mean())
            rows[f"{way}, {share}"] = {"p5": low, "p50": middle, "p95": high, "below 0.8": below}
            print(f"{way:<35}{share:>7.0%}{low:>8.2f}{middle:>8.2f}{high:>8.2f}{below:>8.1%}")
    write_document("short-windows", {"threshold": LEAST_SHARE, **rows})


if __name__ == "__main__":
    run(*sys.argv[1:2])
