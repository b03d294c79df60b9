"""Backtests against published tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from math import sqrt
from typing import Any

import numpy as np
import pytest
import scipy.stats

from risk_tasks.model.backtest import (
    Backtest,
    Transitions,
    backtest_of,
    chi_square_survival,
    cumulative_probability,
    proportion_of_failures,
)
from risk_tasks.model.measures import parse_confidence

Vectors = Callable[[str], Any]

RELATIVE = 1e-12
#: the tolerances of two, three and six printed decimals
TWO, THREE, SIX = 5e-3, 5e-4, 5e-7
TESTED = {
    *("basel_1996", "frtb_multiplier", "frtb_desk_thresholds_12m", "kupiec_nonrejection_95"),
    *("chi2_critical", "jpm_1998_jorion", "type_errors_jorion", "ryanoconnell_example"),
}


def at(alpha: float) -> str:
    """Return the confidence with the tail probability `alpha`."""
    return parse_confidence(1 - Decimal(str(alpha)))


def of(n_observations: int, n_exceptions: int, confidence: str = "0.99") -> Backtest:
    """Return the backtest of a record whose first days are the exceptions."""
    return backtest_of(np.arange(n_observations) < n_exceptions, confidence)


def by_exceptions(table: dict[str, Any]) -> dict[int, Any]:
    """Return a published table with one row for each number of exceptions: "0-4" is five rows."""
    rows = {}
    for text, value in table.items():
        first, _, last = text.rstrip("+").partition("-")
        end = 250 if text.endswith("+") else int(last or first)
        rows.update(dict.fromkeys(range(int(first), end + 1), value))
    return rows


def test_every_published_table_is_tested(vectors: Vectors) -> None:
    """A new table in the file makes this test fail until another test reads it."""
    assert set(vectors("backtest_tables")) == TESTED


def test_basel_cumulative_probabilities(vectors: Vectors) -> None:
    """0 to 10 exceptions in 250 days at 99 % agree with the digits of Table 2."""
    vector = vectors("backtest_tables")["basel_1996"]
    published = vector["cumulative_probability"]

    actual = [of(vector["T"], n).cumulative_probability for n in range(len(published))]

    assert len(published) == 11
    np.testing.assert_allclose(actual, published, rtol=0, atol=vector["tolerance"])


def test_basel_zones(vectors: Vectors) -> None:
    """Every number of exceptions from 0 to 250: green to 4, yellow to 9, red from 10."""
    vector = vectors("backtest_tables")["basel_1996"]

    for zone, (first, last) in vector["zones"].items():
        for n in range(first, (vector["T"] if last is None else last) + 1):
            assert of(vector["T"], n).zone == zone, n


def test_basel_plus_factors(vectors: Vectors) -> None:
    """Every number of exceptions has the published factor."""
    published = by_exceptions(vectors("backtest_tables")["basel_1996"]["plus_factor"])

    assert {n: of(250, n).plus_factor for n in range(251)} == published


def test_frtb_multipliers(vectors: Vectors) -> None:
    """Every number of exceptions has the published multiplier."""
    published = by_exceptions(vectors("backtest_tables")["frtb_multiplier"]["multiplier"])

    assert {n: of(250, n).frtb_multiplier for n in range(251)} == published


def test_frtb_desk_thresholds(vectors: Vectors) -> None:
    """The thresholds at 97.5 % and at 99 % are the published ones."""
    vector = vectors("backtest_tables")["frtb_desk_thresholds_12m"]

    assert of(250, 0, "0.99").frtb_desk_threshold == vector["99%"] == 12
    assert of(250, 0, "0.975").frtb_desk_threshold == vector["97.5%"] == 30


def test_kupiec_regions(vectors: Vectors) -> None:
    """The test does not reject exactly the numbers of exceptions in the fifteen regions."""
    rows = vectors("backtest_tables")["kupiec_nonrejection_95"]["rows"]

    for row in rows:
        t, confidence = row["T"], at(row["p"])
        p_values = (
            chi_square_survival(proportion_of_failures(t, n, confidence), 1) for n in range(t + 1)
        )
        kept = [n for n, p in enumerate(p_values) if p >= 0.05]

        assert kept == list(range(row["recomputed_min"], row["recomputed_max"] + 1)), row
    assert len(rows) == 15


def test_kupiec_regions_as_printed(vectors: Vectors) -> None:
    """The ends agree with Kupiec's; where he prints no lower end, the test rejects N = 0."""
    rows = vectors("backtest_tables")["kupiec_nonrejection_95"]["rows"]

    for row in rows:
        low, high = re.fullmatch(r"(?:(\d+)<)?N<(\d+)", row["published_nonrejection"]).groups()
        assert int(high) == row["recomputed_max"] + 1
        if low is None:
            assert (row["p"], row["T"], row["recomputed_min"]) == (0.01, 255, 1)
        else:
            assert int(low) == row["recomputed_min"] - 1
    assert proportion_of_failures(255, 0, "0.99") == pytest.approx(5.13, abs=TWO)


def test_chi_square_critical_values(vectors: Vectors) -> None:
    """The p-value of a critical value is 1 minus its level."""
    table = vectors("backtest_tables")["chi2_critical"]

    for name, freedom in (("df1", 1), ("df2", 2)):
        for level, statistic in table[name].items():
            p = chi_square_survival(statistic, freedom)
            assert p == pytest.approx(1 - float(level), abs=SIX), (name, level)


def jpm_record(vector: dict[str, Any]) -> np.ndarray:
    """Return one more day than the published transitions, which are as many as the days."""
    pairs, alone = vector["transitions"]["n11"], vector["transitions"]["n01"]
    # Six exceptions follow an exception; the first day and the last have none.
    hits = [True] * (pairs + 1) + [False]
    hits += [True, False] * (alone - 1)
    return np.array([False] * (vector["transitions"]["n00"] + 1) + hits)


def test_jpm_1998(vectors: Vectors) -> None:
    """A record with the published transitions has 20 exceptions in 252 days at 95 %."""
    vector = vectors("backtest_tables")["jpm_1998_jorion"]
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
    p_values = [actual.kupiec_p, actual.independence_p, actual.coverage_p]
    statistics = [actual.kupiec_lr, actual.independence_lr, actual.coverage_lr]
    assert p_values == pytest.approx(scipy.stats.chi2.sf(statistics, [1, 1, 2]), rel=1e-10)
    alpha, expected = vector["p"], of(t, n, confidence).expected
    assert (n - expected) / sqrt(expected * (1 - alpha)) == pytest.approx(
        vector["expected_z"], abs=TWO
    )


def test_errors_of_both_types(vectors: Vectors) -> None:
    """Type 1 rejects a correct VaR (five exceptions or more); type 2 keeps a VaR of 97 %."""
    vector = vectors("backtest_tables")["type_errors_jorion"]
    t, most = vector["T"], vector["reject_if_more_than"]

    type1 = 1 - cumulative_probability(t, most, at(vector["p"]))
    type2 = cumulative_probability(t, most, at(vector["p_alt"]))

    assert type1 == pytest.approx(vector["type1"], abs=THREE)
    assert type2 == pytest.approx(vector["type2"], abs=THREE)


def test_a_wrong_published_ratio_differs(vectors: Vectors) -> None:
    """The LR_pof of three exceptions in 250 days is 0.0949, not the published 0.189."""
    vector = vectors("backtest_tables")["ryanoconnell_example"]

    actual = of(vector["T"], vector["N"], at(vector["p"])).kupiec_lr

    assert actual == pytest.approx(vector["recomputed_LR_uc"], rel=RELATIVE)
    assert abs(actual - vector["published_LR"]) > 0.09
