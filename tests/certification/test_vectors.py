"""Kernels and ranks against published numbers."""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Callable
from decimal import Decimal
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from benchmarks.libraries.environment import LIBRARIES
from risk_tasks.kernels.positions import concentration
from risk_tasks.model.measures import VarConvention
from tests.certification import chain
from tests.programs import absent

Vectors = Callable[[str], Any]

#: Published to three decimals.
ROUNDED = 5e-4


def ranked_pnl(vector: dict[str, Any]) -> np.ndarray:
    """Return the P&L of a window with these worst losses; the other outcomes are 0."""
    losses = vector["worst_losses_usd_thousand"]
    pnl = np.zeros(vector["n_scenarios"])
    pnl[: len(losses)] = -np.array(losses)
    return np.random.default_rng(0).permutation(pnl)


def test_hull_ranked_losses_of_2008(vectors: Vectors) -> None:
    """VaR is the fifth worst of 500 losses, and ES the mean of the five worst."""
    vector = vectors("hull_var")["ranked_losses_2008"]
    pnl = ranked_pnl(vector)

    assert chain.value_at_risk(pnl, "0.99") == vector["expected_var"] == 253.385
    assert chain.expected_shortfall(pnl, "0.99") == pytest.approx(327.181, abs=ROUNDED)
    assert vector["expected_es_average_of_5_worst"] == 327.181


def test_hull_2008_under_the_other_conventions(vectors: Vectors) -> None:
    """At n alpha = 5, `loss_quantile` is the sixth worst; `linear` is between fifth and sixth."""
    pnl = ranked_pnl(vectors("hull_var")["ranked_losses_2008"])

    assert chain.value_at_risk(pnl, "0.99", VarConvention.LOSS_QUANTILE) == 217.974
    assert chain.value_at_risk(pnl, "0.99", VarConvention.LINEAR) == pytest.approx(
        253.385 - 0.99 * (253.385 - 217.974), rel=1e-12
    )


def test_hull_ranked_losses_of_the_later_edition(vectors: Vectors) -> None:
    """VaR is the published one; the published ES averages four losses, ours five."""
    vector = vectors("hull_var")["ranked_losses_later_edition"]
    pnl = ranked_pnl(vector)

    assert chain.value_at_risk(pnl, "0.99") == vector["expected_var"] == 602.968
    assert chain.expected_shortfall(pnl, "0.99") == pytest.approx(
        vector["derived_es_ru"], abs=ROUNDED
    )
    assert chain.expected_shortfall(pnl, "0.99") < vector["published_multiple_choice_es"]


def test_hull_historical_simulation_scenarios(vectors: Vectors) -> None:
    """Three days of 2006 on a portfolio of four indices in 2008 have the published P&L."""
    vector = vectors("hull_var")["hist_sim_scenarios"]
    levels = np.array([row for day, row in vector["index_usd_levels"].items() if "2006" in day])
    moves = (levels[1:] / levels[:-1] - 1.0).T
    value = list(vector["portfolio_usd_thousand"].values())

    pnl = chain.profit_and_loss(value, moves)

    losses = [scenario["loss"] for scenario in vector["expected_scenarios"]]
    np.testing.assert_allclose(-pnl, losses, atol=vector["tolerance_usd_thousand"], rtol=0)
    displayed = vector["losses_from_displayed_levels"]
    np.testing.assert_allclose(-pnl, displayed, atol=2e-3, rtol=0)


def two_asset_panel(volatility: list[float], correlation: float) -> np.ndarray:
    """Return four days with exactly these sample volatilities (n - 1) and this correlation."""
    first = sqrt(3 / 4) * np.array([1.0, -1.0, 1.0, -1.0])
    second = sqrt(3 / 4) * np.array([1.0, 1.0, -1.0, -1.0])
    mixed = correlation * first + sqrt(1 - correlation**2) * second
    return np.array([volatility[0] * first, volatility[1] * mixed])


def delta_normal(vector: dict[str, Any], value: list[float], z: float) -> float:
    """Return the VaR of the kernel's standard deviation, times the root of the horizon."""
    panel = two_asset_panel(list(vector["daily_vol"].values()), vector["corr"])
    _, deviation = chain.dispersion(chain.profit_and_loss(value, panel))
    return z * deviation * sqrt(vector["horizon_days"])


def test_hull_delta_normal(vectors: Vectors) -> None:
    """Microsoft, AT&T, both, and the diversification benefit, over ten days at 99 %."""
    vector = vectors("hull_var")["delta_normal_10d_99"]
    expected, tolerance = vector["expected"], vector["tolerance_usd"]
    microsoft, att = vector["positions_usd"].values()
    z = vector["z"]

    together = delta_normal(vector, [microsoft, att], z)
    first = delta_normal(vector, [microsoft, 0.0], z)
    second = delta_normal(vector, [0.0, att], z)

    one_day = together / z / sqrt(vector["horizon_days"])
    assert one_day == pytest.approx(expected["one_day_sd_usd"], abs=tolerance)
    assert together == pytest.approx(1_622_657, abs=tolerance)
    assert expected["var_portfolio"] == 1_622_657
    assert first == pytest.approx(expected["var_MSFT"], abs=tolerance)
    assert second == pytest.approx(expected["var_ATT"], abs=tolerance)
    assert first + second - together == pytest.approx(
        expected["diversification_benefit"], abs=tolerance
    )


def test_hull_delta_normal_with_the_exact_quantile(vectors: Vectors) -> None:
    """With z = 2.3263 instead of 2.33, the VaR is within 0.2 % of the published one."""
    vector = vectors("hull_var")["delta_normal_10d_99"]
    value = list(vector["positions_usd"].values())

    actual = delta_normal(vector, value, NormalDist().inv_cdf(0.99))

    assert actual == pytest.approx(vector["expected"]["var_portfolio"], rel=2e-3)
    assert actual < vector["expected"]["var_portfolio"]


def test_ore_historical_simulation_quantiles(vectors: Vectors) -> None:
    """Twelve quantiles of 715 P&L values, gains and losses, are minus the conservative VaR."""
    vector = vectors("ore_histsim_var")
    expected = {
        (name, p): quantile
        for name, series in vector["series"].items()
        for p, quantile in series["published_quantiles_of_pnl"].items()
    }

    actual = {
        (name, p): -chain.value_at_risk(vector["series"][name]["pnl"], str(1 - Decimal(p)))
        for name, p in expected
    }

    assert len(expected) == 12
    assert actual == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n", ["100", "123"])
def test_strata_index_above_is_the_loss_quantile(vectors: Vectors, n: str) -> None:
    """Strata's order statistic of a sample of losses is the VaR under `loss_quantile`."""
    vector = vectors("strata_quantiles")
    pnl = -np.array(vector[f"unsorted_{n}"])

    actual = chain.value_at_risk(pnl, vector["level"], VarConvention.LOSS_QUANTILE)

    assert actual == vector["expected"][n]["index_above"]


def test_strata_excel_is_linear(vectors: Vectors) -> None:
    """Strata's Excel interpolation of a sample of losses is the VaR under `linear`."""
    vector = vectors("strata_quantiles")["excel_case"]
    pnl = -np.array(vector["data"], dtype=np.float64)

    actual = chain.value_at_risk(pnl, vector["level"], VarConvention.LINEAR)

    assert actual == pytest.approx(vector["expected"], rel=1e-12)


def test_skfolio_ignores_missing_returns(vectors: Vectors) -> None:
    """VaR and CVaR at 95 % are the worst of four returns among missing ones."""
    vector = vectors("skfolio_measures")["small_nan"]
    pnl = np.array(vector["returns"], dtype=np.float64)

    count, deviation = chain.dispersion(pnl)

    assert chain.value_at_risk(pnl, "0.95") == vector["VaR95"]
    assert chain.expected_shortfall(pnl, "0.95") == pytest.approx(vector["CVaR95"], rel=1e-12)
    assert count == 4
    assert deviation**2 * (count - 1) / count == pytest.approx(vector["var_ddof0"], rel=1e-12)


def shipped_prices(vector: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return prices by ticker from the files of skfolio, which is not imported."""
    if not LIBRARIES.is_ready:
        absent("environment of other risk libraries", "make libraries")
    (path,) = LIBRARIES.folder.glob(f"lib/python*/site-packages/{vector['data']['member']}")
    raw = path.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == vector["data"]["sha256"]
    header, *rows = csv.reader(gzip.decompress(raw).decode().splitlines())
    columns = zip(header[1:], zip(*(row[1:] for row in rows), strict=True), strict=True)
    return {ticker: np.array(column, dtype=np.float64) for ticker, column in columns}


@pytest.mark.parametrize("ticker", ["AAPL", "AMD"])
def test_skfolio_measures_of_shipped_prices(vectors: Vectors, ticker: str) -> None:
    """VaR, CVaR, standard deviation and worst loss of 8,312 days agree to seven decimals."""
    vector = vectors("skfolio_measures")
    prices = shipped_prices(vector)[ticker]
    returns = prices[1:] / prices[:-1] - 1.0

    count, deviation = chain.dispersion(returns)

    assert count == 8312
    assert deviation == pytest.approx(vector[ticker]["std_ddof1"], abs=1e-7)
    assert -returns.min() == pytest.approx(vector[ticker]["worst"], abs=1e-7)
    assert chain.value_at_risk(returns, "0.95") == pytest.approx(vector[ticker]["VaR"], abs=1e-7)
    assert chain.expected_shortfall(returns, "0.95") == pytest.approx(
        vector[ticker]["CVaR"], abs=1e-7
    )


def shares_of(value: list[float], gross: float) -> tuple[float, float]:
    """Return the largest share and the Herfindahl index of one portfolio."""
    out = np.empty((1, 2))
    concentration(
        np.array([0, len(value)], dtype=np.int64), np.array(value), np.array([gross]), out
    )
    return float(out[0, 0]), float(out[0, 1])


def test_skfolio_effective_number_of_assets(vectors: Vectors) -> None:
    """It is 1 over the Herfindahl index of published weights."""
    vector = vectors("skfolio_measures")["portfolio_2017_2022"]

    # skfolio does not normalise the weights; their sum is 1 within the printed digits.
    _, herfindahl = shares_of(vector["weights"], 1.0)

    assert 1 / herfindahl == pytest.approx(vector["effective_number_assets"], rel=1e-12)


def test_pyfolio_largest_long_share(vectors: Vectors) -> None:
    """Pyfolio's share is of net asset value: three long positions and cash."""
    vector = vectors("misc_textbook")["pyfolio_concentration_long"]
    positions = [float(value) for value in vector["positions"]]

    largest, _ = shares_of(positions, sum(positions) + vector["cash"])

    assert largest == pytest.approx(vector["expected_max_long"], rel=1e-12)
    assert vector["expected_max_long"] == 0.15
