"""Kernels and ranks against numpy and scipy on random panels."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from risk_tasks.model.measures import VarConvention
from tests.certification import chain
from tests.reference import tail as naive

RELATIVE = 1e-12
LEVELS = [("0.90", 0.90, 0.10), ("0.95", 0.95, 0.05), ("0.975", 0.975, 0.025), ("0.99", 0.99, 0.01)]
WINDOWS = [100, 250, 252, 500, 715, 1000]


def random_pnl(n: int, seed: int) -> np.ndarray:
    """Return outcomes with fat tails, in the thousands."""
    return 1e3 * np.random.default_rng(seed).standard_t(4, n)


def random_market(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of fifteen long and short positions, and correlated returns."""
    random = np.random.default_rng(seed)
    common = random.normal(0.0, 0.01, 260)
    panel = 0.6 * common + random.normal(0.0003, 0.012, (15, 260))
    return random.normal(0.0, 1e6, 15), panel


@pytest.mark.parametrize("n", WINDOWS)
@pytest.mark.parametrize(("text", "confidence", "alpha"), LEVELS)
def test_conservative_is_numpys_inverted_cdf_of_gains(
    n: int, text: str, confidence: float, alpha: float
) -> None:
    """It is minus the quantile of the P&L at the exact alpha, not at a rounded 1 - confidence."""
    pnl = random_pnl(n, seed=n)

    actual = chain.value_at_risk(pnl, text, VarConvention.CONSERVATIVE)

    assert actual == -np.quantile(pnl, alpha, method="inverted_cdf")


@pytest.mark.parametrize("n", WINDOWS)
@pytest.mark.parametrize(("text", "confidence", "alpha"), LEVELS)
def test_loss_quantile_is_numpys_inverted_cdf_of_losses(
    n: int, text: str, confidence: float, alpha: float
) -> None:
    """It is the quantile of the losses at the confidence."""
    pnl = random_pnl(n, seed=n)

    actual = chain.value_at_risk(pnl, text, VarConvention.LOSS_QUANTILE)

    assert actual == np.quantile(-pnl, confidence, method="inverted_cdf")


@pytest.mark.parametrize("n", WINDOWS)
@pytest.mark.parametrize(("text", "confidence", "alpha"), LEVELS)
def test_linear_is_numpys_default(n: int, text: str, confidence: float, alpha: float) -> None:
    """It is minus numpy's interpolated quantile of the P&L."""
    pnl = random_pnl(n, seed=n)

    actual = chain.value_at_risk(pnl, text, VarConvention.LINEAR)

    assert actual == pytest.approx(-np.quantile(pnl, alpha), rel=RELATIVE)


@pytest.mark.parametrize(
    ("n", "text", "k"), [(100, "0.90", 10), (100, "0.95", 5), (500, "0.99", 5), (1000, "0.975", 25)]
)
def test_expected_shortfall_of_a_whole_tail_is_a_mean(n: int, text: str, k: int) -> None:
    """If n alpha is an integer k, it is the mean of the k worst losses."""
    pnl = random_pnl(n, seed=n)

    actual = chain.expected_shortfall(pnl, text)

    assert actual == pytest.approx(-np.mean(np.sort(pnl)[:k]), rel=RELATIVE)


@pytest.mark.parametrize("n", [250, 252, 715])
@pytest.mark.parametrize(("text", "confidence", "alpha"), LEVELS)
def test_expected_shortfall_minimises_the_function_of_rockafellar_and_uryasev(
    n: int, text: str, confidence: float, alpha: float
) -> None:
    """It is the minimum of q + mean(max(loss - q, 0)) / alpha over the losses q."""
    losses = -random_pnl(n, seed=n)

    excess = np.maximum(losses[:, None] - losses[None, :], 0.0).mean(axis=0)
    expected = np.min(losses + excess / alpha)

    assert chain.expected_shortfall(-losses, text) == pytest.approx(expected, rel=RELATIVE)


@pytest.mark.parametrize("seed", range(5))
def test_profit_and_loss_is_a_product(seed: int) -> None:
    """It is numpy's product of values and returns."""
    value, panel = random_market(seed)

    actual = chain.profit_and_loss(value, panel)

    scale = np.abs(value).sum() * np.abs(panel).max()
    np.testing.assert_allclose(actual, value @ panel, rtol=0, atol=RELATIVE * scale)


@pytest.mark.parametrize("seed", range(5))
def test_dispersion_is_numpys_sample_deviation(seed: int) -> None:
    """It has n - 1 in the denominator and ignores missing outcomes."""
    pnl = random_pnl(260, seed)
    gapped = pnl.copy()
    gapped[::7] = np.nan

    assert chain.dispersion(pnl)[1] == pytest.approx(np.std(pnl, ddof=1), rel=RELATIVE)
    assert chain.dispersion(gapped)[1] == pytest.approx(np.nanstd(gapped, ddof=1), rel=RELATIVE)
    assert chain.dispersion(gapped)[0] == np.count_nonzero(~np.isnan(gapped))


@pytest.mark.parametrize("seed", range(5))
def test_dispersion_is_the_quadratic_form_of_the_covariance(seed: int) -> None:
    """The deviation of the P&L is sqrt(V' Cov V), without a covariance matrix."""
    value, panel = random_market(seed)

    _, actual = chain.dispersion(chain.profit_and_loss(value, panel))

    assert actual == pytest.approx(np.sqrt(value @ np.cov(panel) @ value), rel=RELATIVE)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("text", "confidence", "alpha"), LEVELS)
def test_parametric_value_at_risk_is_scipys_quantile_times_deviation(
    seed: int, text: str, confidence: float, alpha: float
) -> None:
    """It is scipy's normal quantile times sqrt(V' Cov V)."""
    value, panel = random_market(seed)
    expected = scipy.stats.norm.ppf(confidence) * np.sqrt(value @ np.cov(panel) @ value)

    _, deviation = chain.dispersion(chain.profit_and_loss(value, panel))

    assert naive.normal_quantile(text) * deviation == pytest.approx(expected, rel=RELATIVE)


@pytest.mark.parametrize("seed", range(3))
def test_naive_volatility_contributions_are_those_of_the_covariance(seed: int) -> None:
    """The reference of the contributions equals V_i (Cov V)_i / sd."""
    value, panel = random_market(seed)
    product = np.cov(panel) @ value
    expected = value * product / np.sqrt(value @ product)

    actual = naive.volatility_contributions(
        list(enumerate(value.tolist())), panel.tolist(), panel.shape[1]
    )

    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=RELATIVE * scale)
