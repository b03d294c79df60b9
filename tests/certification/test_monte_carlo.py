"""Random paths against closed forms, and the repair of a covariance against QuantLib's example."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from risk_tasks import sample
from risk_tasks.engine import MarketArrays, PortfolioBlock, compute
from risk_tasks.engine.market import GivenCovariance, streams_of
from risk_tasks.engine.monte_carlo import panels
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.readers import read_market, read_portfolios

MARKET = read_market(sample.PRICES)
BOOKS = [book for book in read_portfolios(sample.BOOKS) if book.positions]
FREEDOM = 5
T = scipy.stats.t(FREEDOM, scale=sqrt((FREEDOM - 2) / FREEDOM))
OF = {"normal": scipy.stats.norm, "student": T}
NAMES = [MeasureName("monte_carlo_value_at_risk"), MeasureName("monte_carlo_expected_shortfall")]


def block_of_books() -> PortfolioBlock:
    """Return the sample's portfolios on the sample's prices."""
    positions = [(MARKET.index[i], q) for book in BOOKS for i, q in book.positions.items()]
    unknown = np.full(len(BOOKS), np.nan)
    return PortfolioBlock(
        np.cumsum([0, *(len(book.positions) for book in BOOKS)]),
        np.array([i for i, _ in positions]),
        np.array([q for _, q in positions]),
        unknown,
        unknown,
    )


def in_deviations(seed: int, distribution: str, confidence: str, n_paths: int) -> np.ndarray:
    """Return the VaR and ES (2, P) of each book in standard deviations of its P&L."""
    settings = MeasureSettings(
        confidence,
        n_paths=n_paths,
        seed=seed,
        distribution=distribution,
        degrees_of_freedom=FREEDOM,
    )
    block, market = block_of_books(), MarketArrays.of(MARKET)
    volatility = MeasureName("volatility")
    columns = compute(block, market, [*NAMES, volatility], settings)
    return np.array([columns[name].values for name in NAMES]) / columns[volatility].values


def closed_form(distribution: str, alpha: float) -> tuple[float, float, float, float]:
    """VaR and ES of a standard deviation of 1, and their standard errors times sqrt(n).

    Source of the errors: the asymptotic variances of a quantile, alpha (1 - alpha) / f^2, and of a
    mean beyond it, [var(loss | tail) + (1 - alpha)(ES - VaR)^2] / alpha.
    """
    of = OF[distribution]
    var = float(of.isf(alpha))
    first, second = (_moment(of, power, var) / alpha for power in (1, 2))
    spread = second - first**2 + (1 - alpha) * (first - var) ** 2
    return var, first, sqrt(alpha * (1 - alpha)) / of.pdf(var), sqrt(spread / alpha)


def _moment(of: Any, power: int, above: float) -> float:
    return float(scipy.integrate.quad(lambda x: x**power * of.pdf(x), above, np.inf)[0])


@pytest.mark.parametrize("distribution", OF)
@pytest.mark.parametrize(("confidence", "alpha"), [("0.95", 0.05), ("0.99", 0.01)])
def test_books_on_real_prices_are_within_four_standard_errors(
    distribution: str, confidence: str, alpha: float
) -> None:
    """The books are long and short, with one and with many positions, on 100,000 paths."""
    var, shortfall, *errors = closed_form(distribution, alpha)

    found = in_deviations(11, distribution, confidence, 100_000)

    assert found.shape == (2, len(BOOKS))
    for row, expected, error in zip(found, (var, shortfall), errors, strict=True):
        assert np.abs(row - expected).max() <= 4 * error / sqrt(100_000)


@pytest.mark.parametrize("distribution", OF)
def test_errors_of_seeds_average_out(distribution: str) -> None:
    """The mean over forty seeds is as accurate as forty times the number of paths."""
    var, shortfall, *errors = closed_form(distribution, 0.05)
    found = np.array([in_deviations(s, distribution, "0.95", 10_000)[:, 0] for s in range(40)])

    for column, expected, error in zip(found.T, (var, shortfall), errors, strict=True):
        assert abs(column.mean() - expected) <= 4 * error / sqrt(40 * 10_000)
        # Antithetic pairs make the error a little smaller.
        assert 0.6 <= column.std() / (error / sqrt(10_000)) <= 1.4


@pytest.mark.parametrize("distribution", OF)
def test_draws_have_their_distribution_and_no_correlation(distribution: str) -> None:
    """Each of twenty streams passes Kolmogorov-Smirnov, and no two are correlated."""
    settings = MeasureSettings(
        n_paths=100_000, distribution=distribution, degrees_of_freedom=FREEDOM
    )
    draws = np.concatenate(
        [d * factor for _, d, factor in panels(streams_of(MARKET.instruments), settings)], axis=1
    )

    p_values = [scipy.stats.kstest(row, OF[distribution].cdf).pvalue for row in draws]
    correlation = np.corrcoef(scipy.stats.rankdata(draws, axis=1)) - np.eye(len(draws))

    assert draws.shape == (20, 50_000)
    assert min(p_values) > 1e-4
    assert np.abs(correlation).max() <= 4.5 / sqrt(50_000)


# QuantLib, test-suite/covariance.cpp, "matrix rank reduction salvaging algorithms".
BAD = np.array([[1.0, 0.9, 0.7], [0.9, 1.0, 0.3], [0.7, 0.3, 1.0]])
GOOD = np.array(
    [
        [1.0, 0.894024408508599, 0.696319066114392],
        [0.894024408508599, 1.0, 0.300969036104592],
        [0.696319066114392, 0.300969036104592, 1.0],
    ]
)


@pytest.mark.parametrize("size", [1e-300, 1e-4, 1.0, 1e300])
def test_a_repaired_correlation_is_quantlibs(size: float) -> None:
    """The spectral method agrees within the tolerance of QuantLib's test."""
    given = GivenCovariance.of(BAD * size)

    np.testing.assert_allclose(given.matrix / size, GOOD, rtol=0, atol=1e-10)
    assert given.repair == pytest.approx(np.linalg.norm(BAD - GOOD) / np.linalg.norm(BAD), rel=1e-9)


def test_a_repair_keeps_the_standard_deviations() -> None:
    """The repair cuts eigenvalues of the covariance, not of the correlations, at 0."""
    random = np.random.default_rng(1)
    half = random.normal(size=(6, 6))
    bad = half + half.T + np.diag(np.full(6, 4.0))
    assert np.linalg.eigvalsh(bad)[0] < -1e-3

    given = GivenCovariance.of(bad)

    assert given.matrix.diagonal().tolist() == bad.diagonal().tolist()
    assert np.linalg.eigvalsh(given.matrix)[0] >= -1e-12
    assert 0 < given.repair < 1


@pytest.mark.parametrize("bad", [np.zeros((3, 3)), np.empty((0, 0)), np.ones((3, 3)), np.eye(3)])
def test_a_valid_covariance_keeps_its_bits(bad: np.ndarray) -> None:
    """Singular covariances, and one of zeros, are valid."""
    given = GivenCovariance.of(bad)

    assert given.matrix.tobytes() == bad.tobytes()
    assert given.repair == 0.0


def test_a_variance_of_0_stays_0() -> None:
    """A covariance with an instrument of variance 0 is not valid."""
    given = GivenCovariance.of(np.array([[0.0, 1e-3], [1e-3, 1.0]]))

    assert given.matrix.tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert given.repair > 0.0
