"""Backtests against published tables, and against scipy."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from math import sqrt
from typing import Any

import numpy as np
import pytest
import scipy.stats

from risk_tasks.model.backtest import Backtest, backtest_of
from risk_tasks.model.confidence import parse_confidence, tail_probability
from risk_tasks.model.likelihood import (
    Transitions,
    chi_square_survival,
    conditional_coverage,
    independence,
    proportion_of_failures,
)
from risk_tasks.model.traffic_light import cumulative_probability

Vectors = Callable[[str], Any]

RELATIVE = 1e-12
#: printed with two decimals, three, four and six
TWO, THREE, FOUR, SIX = 5e-3, 5e-4, 5e-5, 5e-7
#: what speaks about other statistics than ours, and why
NOT_OURS = {
    "source": "no number",
    "kupiec_note": "no number",
    "_how": "no number",
    "ore_overlapping_10d": "bounds for overlapping ten-day P&L, simulated; ours is one-day P&L",
}
TESTED = {
    *("basel_1996", "frtb_multiplier", "frtb_desk_thresholds_12m", "kupiec_nonrejection_95"),
    *("chi2_critical", "jpm_1998_jorion", "type_errors_jorion", "ryanoconnell_example"),
}


def at(alpha: float) -> str:
    """The confidence whose tail is published as `alpha`."""
    return parse_confidence(1 - Decimal(str(alpha)))


def of(n_observations: int, n_exceptions: int, confidence: str = "0.99") -> Backtest:
    """The backtest of so many exceptions, which come first."""
    return backtest_of(np.arange(n_observations) < n_exceptions, confidence)


def by_exceptions(table: dict[str, Any]) -> dict[int, Any]:
    """A published table with a row for each number of exceptions: "0-4" is five, "10+" goes on."""
    rows = {}
    for text, value in table.items():
        first, _, last = text.rstrip("+").partition("-")
        end = 250 if text.endswith("+") else int(last or first)
        rows.update(dict.fromkeys(range(int(first), end + 1), value))
    return rows


def test_every_published_table_is_certified_or_said_not_to_be(shared_vectors: Vectors) -> None:
    """What is added to the vectors is not passed over."""
    assert set(shared_vectors("backtest_tables")) == TESTED | set(NOT_OURS)


def test_basel_cumulative_probabilities(shared_vectors: Vectors) -> None:
    """0 to 10 exceptions in 250 days at 99 %, to the digits of Table 2."""
    vector = shared_vectors("backtest_tables")["basel_1996"]
    published = vector["cumulative_probability"]

    actual = [of(vector["T"], n).cumulative_probability for n in range(len(published))]

    assert len(published) == 11
    np.testing.assert_allclose(actual, published, rtol=0, atol=vector["tolerance"])


def test_basel_zones(shared_vectors: Vectors) -> None:
    """Green to 4, yellow to 9, red from 10: every number of exceptions that there can be."""
    vector = shared_vectors("backtest_tables")["basel_1996"]

    for zone, (first, last) in vector["zones"].items():
        for n in range(first, (vector["T"] if last is None else last) + 1):
            assert of(vector["T"], n).zone == zone, n


def test_basel_plus_factors(shared_vectors: Vectors) -> None:
    """For every number of exceptions."""
    published = by_exceptions(shared_vectors("backtest_tables")["basel_1996"]["plus_factor"])

    assert {n: of(250, n).plus_factor for n in range(251)} == published


def test_frtb_multipliers(shared_vectors: Vectors) -> None:
    """For every number of exceptions."""
    published = by_exceptions(shared_vectors("backtest_tables")["frtb_multiplier"])

    assert {n: of(250, n).frtb_multiplier for n in range(251)} == published


def test_frtb_desk_thresholds(shared_vectors: Vectors) -> None:
    """At both confidences."""
    vector = shared_vectors("backtest_tables")["frtb_desk_thresholds_12m"]

    assert of(250, 0, "0.99").frtb_desk_threshold == vector["99%"] == 12
    assert of(250, 0, "0.975").frtb_desk_threshold == vector["97.5%"] == 30


def test_kupiec_regions(shared_vectors: Vectors) -> None:
    """Fifteen regions in which a VaR is not rejected at 95 %, each number of exceptions tried."""
    rows = shared_vectors("backtest_tables")["kupiec_nonrejection_95"]

    for row in rows:
        t, confidence = row["T"], at(row["p"])
        p_values = (
            chi_square_survival(proportion_of_failures(t, n, confidence), 1) for n in range(t + 1)
        )
        kept = [n for n, p in enumerate(p_values) if p >= 0.05]

        assert kept == list(range(row["recomputed_min"], row["recomputed_max"] + 1)), row
    assert len(rows) == 15


def test_kupiec_regions_as_printed(shared_vectors: Vectors) -> None:
    """Their ends as Kupiec printed them; one has no lower end, where N = 0 is rejected as well."""
    rows = shared_vectors("backtest_tables")["kupiec_nonrejection_95"]

    for row in rows:
        low, high = re.fullmatch(r"(?:(\d+)<)?N<(\d+)", row["published_nonrejection"]).groups()
        assert int(high) == row["recomputed_max"] + 1
        if low is None:
            assert (row["p"], row["T"], row["recomputed_min"]) == (0.01, 255, 1)
        else:
            assert int(low) == row["recomputed_min"] - 1
    assert proportion_of_failures(255, 0, "0.99") == pytest.approx(5.13, abs=TWO)


def test_chi_square_critical_values(shared_vectors: Vectors) -> None:
    """The p-value of a critical value is what is left of its level."""
    table = shared_vectors("backtest_tables")["chi2_critical"]

    for name, freedom in (("df1", 1), ("df2", 2)):
        for level, statistic in table[name].items():
            p = chi_square_survival(statistic, freedom)
            assert p == pytest.approx(1 - float(level), abs=SIX), (name, level)


def jpm_record(vector: dict[str, Any]) -> np.ndarray:
    """Days with the published transitions, of which there are as many as days: one comes first."""
    pairs, alone = vector["transitions"]["n11"], vector["transitions"]["n01"]
    # Six exceptions follow another; as many end as begin, so that the first day is a calm one.
    hits = [True] * (pairs + 1) + [False]
    hits += [True, False] * (alone - 1)
    return np.array([False] * (vector["transitions"]["n00"] + 1) + hits)


def test_jpm_1998(shared_vectors: Vectors) -> None:
    """Twenty exceptions in 252 days at 95 %, from a record with the published transitions."""
    vector = shared_vectors("backtest_tables")["jpm_1998_jorion"]
    t, n, confidence = vector["T"], vector["N"], at(vector["p"])
    record = jpm_record(vector)
    assert Transitions.of(record)._asdict() == vector["transitions"]

    actual = backtest_of(record, confidence)

    pof = proportion_of_failures(t, n, confidence)
    assert pof == pytest.approx(vector["expected_LR_uc"], abs=TWO)
    assert actual.independence_lr == pytest.approx(vector["expected_LR_ind"], abs=TWO)
    assert actual.coverage_lr == pytest.approx(vector["expected_LR_cc"], abs=TWO)
    recomputed = [3.91255, 9.52957, 13.44212]
    assert [pof, actual.independence_lr, actual.coverage_lr] == pytest.approx(recomputed, abs=5e-6)
    alpha, expected = vector["p"], of(t, n, confidence).expected
    assert (n - expected) / sqrt(expected * (1 - alpha)) == pytest.approx(
        vector["expected_z"], abs=TWO
    )


def test_errors_of_both_types(shared_vectors: Vectors) -> None:
    """Of rejecting a right VaR by more than four exceptions, and of keeping one of 97 %."""
    vector = shared_vectors("backtest_tables")["type_errors_jorion"]
    t, most = vector["T"], vector["reject_if_more_than"]

    type1 = 1 - cumulative_probability(t, most, at(vector["p"]))
    type2 = cumulative_probability(t, most, at(vector["p_alt"]))

    assert type1 == pytest.approx(vector["type1"], abs=THREE)
    assert type2 == pytest.approx(vector["type2"], abs=THREE)


def test_a_wrong_published_ratio_is_not_ours(shared_vectors: Vectors) -> None:
    """The page's 0.189 is no LR_pof of three exceptions in 250 days; 0.0949 is."""
    vector = shared_vectors("backtest_tables")["ryanoconnell_example"]

    actual = of(vector["T"], vector["N"], at(vector["p"])).kupiec_lr

    assert actual == pytest.approx(vector["recomputed_LR_uc"], rel=RELATIVE)
    assert abs(actual - vector["published_LR"]) > 0.09


@pytest.mark.parametrize("freedom", [1, 2])
def test_p_values_are_scipys(freedom: int) -> None:
    """From nothing to where they vanish."""
    for statistic in [0.0, 1e-12, *np.geomspace(1e-6, 1000.0, 200)]:
        expected = scipy.stats.chi2.sf(statistic, freedom)
        assert chi_square_survival(statistic, freedom) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("confidence", ["0.9", "0.95", "0.975", "0.99", "0.999"])
def test_probabilities_and_zones_are_those_of_scipys_binomial(confidence: str) -> None:
    """The bounds are quantiles, for records of a day to ten years."""
    alpha = float(tail_probability(confidence))
    for t in (1, 10, 100, 250, 255, 500, 750, 2500):
        expected = scipy.stats.binom.cdf(np.arange(60), t, alpha)
        n_last = min(59, t)
        actual = [cumulative_probability(t, n, confidence) for n in range(n_last + 1)]
        np.testing.assert_allclose(actual, expected[: n_last + 1], rtol=1e-10)
        yellow, red = (max(1, int(scipy.stats.binom.ppf(q, t, alpha))) for q in (0.95, 0.9999))
        zones = [of(t, n, confidence).zone for n in range(n_last + 1)]
        assert zones == [
            "red" if n >= red else "yellow" if n >= yellow else "green" for n in range(n_last + 1)
        ]


@pytest.mark.parametrize(("t", "n", "alpha"), [(250, 3, 0.01), (252, 20, 0.05), (1000, 70, 0.05)])
def test_kupiecs_ratio_is_scipys_g_test(t: int, n: int, alpha: float) -> None:
    """Of the counts against the expected ones."""
    expected = scipy.stats.power_divergence(
        [n, t - n], [t * alpha, t * (1 - alpha)], lambda_="log-likelihood"
    )

    actual = of(t, n, at(alpha))

    assert actual.kupiec_lr == pytest.approx(expected.statistic, rel=1e-10)
    assert actual.kupiec_p == pytest.approx(expected.pvalue, rel=1e-10)


@pytest.mark.parametrize("counts", [(218, 14, 14, 6), (900, 45, 45, 9), (5, 4, 3, 2)])
def test_independence_is_scipys_g_test_of_a_table(counts: tuple[int, int, int, int]) -> None:
    """Without a correction for continuity; and coverage is one ratio of two likelihoods."""
    n00, n01, n10, n11 = counts
    expected = scipy.stats.chi2_contingency(
        [[n00, n01], [n10, n11]], correction=False, lambda_="log-likelihood"
    )
    markov = (
        scipy.stats.binom.logpmf(n01, n00 + n01, n01 / (n00 + n01))
        + scipy.stats.binom.logpmf(n11, n10 + n11, n11 / (n10 + n11))
    ) - (
        scipy.stats.binom.logpmf(n01, n00 + n01, 0.05)
        + scipy.stats.binom.logpmf(n11, n10 + n11, 0.05)
    )

    assert independence(Transitions(*counts)) == pytest.approx(expected.statistic, rel=1e-10)
    assert conditional_coverage(Transitions(*counts), "0.95") == pytest.approx(
        2 * markov, rel=1e-10
    )
