"""The shrunk volatility against results of scikit-learn, and against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from risk_tasks import sample
from risk_tasks.engine import MarketArrays, compute, contributions
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.readers import read_market
from tests.certification.worth_one import book_of, market_of

NAME = MeasureName("shrunk_volatility")

# sklearn.covariance.LedoitWolf(assume_centered=False) of scikit-learn 1.9.1 on the simple returns
# of the first m shares of the sample over its last n days: shrinkage_, and sqrt(V' covariance_ V)
# for the values of `values_of`. In order of the columns of prices.csv.
OF_SCIKIT_LEARN = [
    (20, 1000, 0.026945794268874716, 1463.2339563854814),
    (20, 250, 0.03154055524742549, 1430.600240187426),
    (20, 60, 0.1017541770587058, 1534.9870597511006),
    (20, 15, 0.19993143997322854, 1184.5463122277727),
    (5, 30, 0.23581261688747668, 213.10415766776705),
    (2, 60, 0.24104019937492738, 91.88557590540006),
    (1, 60, 0.0, 25.261085562609832),
]


def values_of(m: int) -> np.ndarray:
    """Return the values 1,000, 2,000 and so on; every third is short."""
    places = np.arange(m)
    return 1000.0 * (places + 1) * np.where(places % 3 == 2, -1.0, 1.0)


def last_days(n: int) -> MarketSnapshot:
    """Return the market of the sample with its last n returns."""
    whole = read_market(sample.PRICES)
    return MarketSnapshot(whole.as_of, whole.instruments, whole.prices, whole.returns[-n:])


@pytest.mark.parametrize(("m", "n", "shrinkage", "expected"), OF_SCIKIT_LEARN)
def test_volatility_of_real_prices_is_that_of_scikit_learn(m, n, shrinkage, expected) -> None:
    """Windows are four years long, or have fewer days than shares; the horizon is scaled."""
    snapshot = last_days(n)
    book = book_of(values_of(m) / snapshot.prices[:m])

    found = compute(book, MarketArrays.of(snapshot), [NAME], MeasureSettings(horizon_days=4))

    assert found[NAME].values[0] / 2 == pytest.approx(expected, rel=1e-11)
    assert ledoit_wolf(snapshot.returns[:, :m])[1] == pytest.approx(shrinkage, rel=1e-11)


def ledoit_wolf(returns: np.ndarray) -> tuple[np.ndarray, float]:
    """Return S* and s of the returns (n, m), by matrices of numpy."""
    x = returns - returns.mean(axis=0)
    n, m = x.shape
    covariance = x.T @ x / n
    target = np.trace(covariance) / m * np.eye(m)
    d = np.sum((covariance - target) ** 2)
    b = sum(np.sum((np.outer(row, row) - covariance) ** 2) for row in x) / n**2
    s = min(b, d) / d if d > 0 else 0.0
    return (1 - s) * covariance + s * target, s


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "m"), [(2, 4), (10, 40), (60, 30), (250, 12)])
def test_volatility_and_parts_are_those_of_the_matrix(n: int, m: int, seed: int) -> None:
    """The book holds every other instrument; the formulas are V' S* V and V_i (S* V)_i."""
    random = np.random.default_rng(seed)
    panel = random.normal(0.0, 0.01, (n, 1)) + random.standard_t(4, (n, 2 * m)) * 0.01
    value = random.normal(0.0, 1e5, 2 * m)
    value[1::2] = 0.0
    covariance, _ = ledoit_wolf(panel[:, ::2])
    expected = np.sqrt(value[::2] @ covariance @ value[::2])
    market, book = market_of(panel), book_of(value)

    found = compute(book, market, [NAME], MeasureSettings())[NAME].values[0]
    parts = contributions(book, market, NAME, MeasureSettings(), 0)

    assert found == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(
        parts[::2], value[::2] * (covariance @ value[::2]) / expected, atol=1e-10 * expected
    )
    assert not parts[1::2].any()
