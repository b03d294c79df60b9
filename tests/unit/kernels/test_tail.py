"""The worst outcomes, VaR, ES and volatility."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import rank, scenario
from tests.reference import tail as naive
from tests.unit.kernels.blocks import (
    Array,
    Block,
    assert_close,
    assert_same_bits,
    block_of,
    blocks,
    books_scale,
    confidences,
    dispersions,
    expected_shortfalls,
    observed,
    outcome_rows,
    profits,
    read_history,
    values_at_risk,
    with_books,
    worst_outcomes,
)

NAN = float("nan")
conventions = st.sampled_from(rank.CONVENTIONS)


def rows_scale(pnl: Array) -> Array:
    """Return the largest magnitude in each row, to which errors are relative."""
    return np.array([max((abs(x) for x in observed(row)), default=0.0) for row in pnl])


def value_at_risk_of(pnl: Array, confidence: str, convention: str, n_spare: int = 0) -> Array:
    """Return the VaR of rows with at least one outcome, from as many worst as the ranks need."""
    places = [rank.interpolation(len(observed(row)), confidence, convention) for row in pnl]
    kept = worst_outcomes(pnl, max(upper for _, upper, _ in places) + n_spare)
    ranks = [lower - 1 for lower, _, _ in places]
    return values_at_risk(kept, ranks, [float(weight) for _, _, weight in places])


def expected_shortfall_of(pnl: Array, confidence: str, n_spare: int = 0) -> Array:
    """Return the ES of rows with at least one outcome, from as many worst as the ranks need."""
    counts = [len(observed(row)) for row in pnl]
    ranks = [rank.tail_rank(n, confidence) for n in counts]
    alpha = rank.tail_probability(confidence)
    kept = worst_outcomes(pnl, max(ranks) + n_spare)
    return expected_shortfalls(kept, ranks, [float(n * alpha) for n in counts])


@given(outcome_rows(), st.integers(1, 45))
def test_worst_keeps_the_smallest_outcomes_in_order(pnl: Array, n_kept: int) -> None:
    """The K worst outcomes are the first K of the sorted row, padded with infinity."""
    expected = [
        [*sorted(observed(row))[:n_kept], *[math.inf] * (n_kept - len(observed(row)))]
        for row in pnl
    ]

    actual = worst_outcomes(pnl, n_kept)

    assert actual.tolist() == expected


def test_worst_keeps_tied_outcomes_as_often_as_they_occur() -> None:
    """Each of the equal outcomes counts."""
    pnl = np.array([[1.0, -2.0, NAN, -2.0, 1.0, -2.0]])

    assert worst_outcomes(pnl, 4).tolist() == [[-2.0, -2.0, -2.0, 1.0]]


def test_worst_of_a_row_without_outcomes_is_infinite() -> None:
    """All of them are padding."""
    assert worst_outcomes(np.full((1, 3), NAN), 2).tolist() == [[math.inf, math.inf]]
    assert worst_outcomes(np.empty((1, 0)), 2).tolist() == [[math.inf, math.inf]]


@given(outcome_rows(), st.integers(1, 45), st.floats(-40, 40))
def test_the_first_threshold_changes_no_result(pnl: Array, n_kept: int, reach: float) -> None:
    """The threshold selects too few outcomes, enough, or all."""
    assert worst_outcomes(pnl, n_kept).tolist() == read_history(pnl, n_kept, reach)[0].tolist()


@given(outcome_rows(min_observed=1), confidences, conventions, st.integers(0, 3))
def test_value_at_risk_agrees_with_the_naive_quantile(
    pnl: Array, confidence: str, convention: str, n_spare: int
) -> None:
    """The rank in every convention is that of rational arithmetic."""
    expected = [naive.value_at_risk(observed(row), confidence, convention) for row in pnl]

    actual = value_at_risk_of(pnl, confidence, convention, n_spare)

    assert_close(actual, expected, rows_scale(pnl))


@given(outcome_rows(min_observed=1), confidences, st.integers(0, 3))
def test_expected_shortfall_agrees_with_the_naive_tail_average(
    pnl: Array, confidence: str, n_spare: int
) -> None:
    """It averages the worst n alpha outcomes, the last one in part."""
    expected = [naive.expected_shortfall(observed(row), confidence) for row in pnl]

    actual = expected_shortfall_of(pnl, confidence, n_spare)

    assert_close(actual, expected, rows_scale(pnl))


@given(outcome_rows(min_observed=1), confidences)
def test_expected_shortfall_is_at_least_the_order_statistics(pnl: Array, confidence: str) -> None:
    """Rounding does not make the tail average smaller than the VaR."""
    shortfall = expected_shortfall_of(pnl, confidence)

    for convention in ("conservative", "loss_quantile"):
        assert np.all(shortfall >= value_at_risk_of(pnl, confidence, convention))


@given(outcome_rows(min_observed=1), confidences)
def test_expected_shortfall_is_at_least_value_at_risk(pnl: Array, confidence: str) -> None:
    """This holds in every convention, up to the rounding of an interpolation."""
    shortfall = expected_shortfall_of(pnl, confidence)

    for convention in rank.CONVENTIONS:
        value_at_risk = value_at_risk_of(pnl, confidence, convention)
        assert np.all(shortfall >= value_at_risk - 1e-12 * rows_scale(pnl))


@pytest.mark.parametrize(
    ("n", "confidence", "loss"),
    [
        (333, "0.95", -10.571915258593023),
        (500, "0.975", -35.36970796999489),
        (1000, "0.99", 82.70648205435035),
    ],
)
def test_expected_shortfall_of_equal_losses_is_not_below_their_value_at_risk(
    n: int, confidence: str, loss: float
) -> None:
    """The sum of n alpha equal losses, divided by n alpha, may round to less than the loss."""
    pnl = np.full((1, n), -loss)

    assert value_at_risk_of(pnl, confidence, "conservative").tolist() == [loss]
    assert expected_shortfall_of(pnl, confidence)[0] >= loss


@given(outcome_rows())
def test_dispersion_agrees_with_the_naive_standard_deviation(pnl: Array) -> None:
    """Missing outcomes are ignored."""
    rows = [observed(row) for row in pnl]

    counts, actual = dispersions(pnl)

    assert counts.tolist() == [len(row) for row in rows]
    assert_close(actual, [naive.standard_deviation(row) for row in rows], rows_scale(pnl))


def test_dispersion_of_fewer_than_two_outcomes_is_zero() -> None:
    """This holds for no outcome and for one."""
    counts, actual = dispersions(np.array([[NAN, NAN], [NAN, 3.0]]))

    assert counts.tolist() == [0, 1]
    assert actual.tolist() == [0.0, 0.0]


def test_dispersion_survives_a_large_mean() -> None:
    """Outcomes near a billion lose no precision to cancellation."""
    pnl = np.array([[1e9 + 1, 1e9 + 2, 1e9 + 3, 1e9 + 4]])

    _, actual = dispersions(pnl)

    assert actual[0] == pytest.approx(math.sqrt(5 / 3), rel=1e-12)


@given(blocks(min_books=1), confidences, conventions)
def test_whole_chain_agrees_with_the_naive_chain(
    block: Block, confidence: str, convention: str
) -> None:
    """The kernels from positions and returns to volatility, VaR and ES agree with references."""
    chains = [
        [x for x in scenario.profit_and_loss(b, block.panel, block.n_observations) if x is not None]
        for b in block.books
    ]
    pnl = profits(block)
    full = [p for p, chain in enumerate(chains) if chain]

    counts, volatility = dispersions(pnl)

    assert counts.tolist() == [len(chain) for chain in chains]
    scale = books_scale(block)
    assert_close(volatility, [naive.standard_deviation(chain) for chain in chains], scale)
    if full:
        actual = value_at_risk_of(pnl[full], confidence, convention)
        expected = [naive.value_at_risk(chains[p], confidence, convention) for p in full]
        assert_close(actual, expected, scale[full])
        actual = expected_shortfall_of(pnl[full], confidence)
        assert_close(
            actual, [naive.expected_shortfall(chains[p], confidence) for p in full], scale[full]
        )


def test_year_of_returns_agrees_with_the_naive_chain() -> None:
    """The window is 250 days of twenty positions, with missing returns."""
    random = np.random.default_rng(7)
    panel = random.standard_t(4, (40, 250)) * 0.01
    panel[random.random(panel.shape) < 0.002] = NAN
    books = [
        [(int(i), float(random.normal(0.0, 1e6))) for i in random.permutation(40)[:20]]
        for _ in range(12)
    ]
    block = block_of(books, panel.tolist(), 250)
    pnl = profits(block)
    chains = [
        [x for x in scenario.profit_and_loss(b, block.panel, 250) if x is not None] for b in books
    ]

    assert len({len(chain) for chain in chains}) > 1, "no window has a gap: nothing is tested"
    for confidence in ("0.95", "0.975", "0.99", "0.995"):
        for convention in rank.CONVENTIONS:
            assert_close(
                value_at_risk_of(pnl, confidence, convention),
                [naive.value_at_risk(chain, confidence, convention) for chain in chains],
                rows_scale(pnl),
            )
        assert_close(
            expected_shortfall_of(pnl, confidence),
            [naive.expected_shortfall(chain, confidence) for chain in chains],
            rows_scale(pnl),
        )
    assert_close(
        dispersions(pnl)[1], [naive.standard_deviation(chain) for chain in chains], rows_scale(pnl)
    )


@given(blocks())
def test_sign_flip_keeps_volatility(block: Block) -> None:
    """The bits are equal."""
    opposite = with_books(block, [[(i, -v) for i, v in book] for book in block.books])

    _, actual = dispersions(profits(opposite))

    assert_same_bits(actual, dispersions(profits(block))[1])


@given(outcome_rows(min_observed=1), confidences, conventions, st.floats(1e-3, 1e3))
def test_tail_measures_scale_with_the_outcomes(
    pnl: Array, confidence: str, convention: str, factor: float
) -> None:
    """Outcomes `factor` times as large have `factor` times the VaR, ES and volatility."""
    larger, scale = factor * pnl, factor * rows_scale(pnl)

    assert_close(
        value_at_risk_of(larger, confidence, convention),
        factor * value_at_risk_of(pnl, confidence, convention),
        scale,
    )
    assert_close(
        expected_shortfall_of(larger, confidence),
        factor * expected_shortfall_of(pnl, confidence),
        scale,
    )
    assert_close(dispersions(larger)[1], factor * dispersions(pnl)[1], scale)


@given(outcome_rows(min_observed=1), confidences, conventions, st.randoms(use_true_random=False))
def test_order_of_observations_does_not_matter(
    pnl: Array, confidence: str, convention: str, random: Random
) -> None:
    """Order statistics of shuffled days have the same bits; the volatility may round."""
    order = random.sample(range(pnl.shape[1]), pnl.shape[1])
    shuffled = np.ascontiguousarray(pnl[:, order])

    np.testing.assert_array_equal(
        value_at_risk_of(shuffled, confidence, convention),
        value_at_risk_of(pnl, confidence, convention),
    )
    np.testing.assert_array_equal(
        expected_shortfall_of(shuffled, confidence), expected_shortfall_of(pnl, confidence)
    )
    assert_close(dispersions(shuffled)[1], dispersions(pnl)[1], rows_scale(pnl))


@given(outcome_rows(min_observed=1), confidences, conventions, st.integers(0, 5))
def test_row_has_the_same_bits_alone_and_in_a_block(
    pnl: Array, confidence: str, convention: str, n_spare: int
) -> None:
    """Results do not depend on other rows or on the number of worst outcomes."""
    together = (
        value_at_risk_of(pnl, confidence, convention),
        expected_shortfall_of(pnl, confidence),
        dispersions(pnl)[1],
    )

    for p in range(pnl.shape[0]):
        row = pnl[p : p + 1]
        alone = (
            value_at_risk_of(row, confidence, convention, n_spare),
            expected_shortfall_of(row, confidence, n_spare),
            dispersions(row)[1],
        )
        for one, all_rows in zip(alone, together, strict=True):
            assert_same_bits(one, all_rows[p : p + 1])
