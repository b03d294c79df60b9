"""Random draws: the bits of NumPy's Philox, and their normal quantiles."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.kernels import simulation
from tests.unit.kernels.blocks import UNWRITTEN, Array, assert_same_bits

words = st.integers(0, 2**64 - 1)


def random_bits(seed: int, streams: list[int], first: int, n: int) -> Array:
    """Run `simulation.random_bits`; without Numba, NumPy warns of integer overflow."""
    out = np.full((len(streams), n), UNWRITTEN, dtype=np.uint64)
    with np.errstate(over="ignore"):
        simulation.random_bits(np.uint64(seed), np.array(streams, dtype=np.uint64), first, out)
    return out


def normal_draws(seed: int, streams: list[int], first: int, n: int) -> Array:
    """Run `simulation.normal_draws`."""
    out = np.full((len(streams), n), float(UNWRITTEN))
    with np.errstate(over="ignore"):
        simulation.normal_draws(np.uint64(seed), np.array(streams, dtype=np.uint64), first, out)
    return out


@given(words, words, st.integers(0, 40), st.integers(0, 13))
def test_bits_are_those_of_numpy(seed: int, stream: int, block: int, n: int) -> None:
    """They equal NumPy's Philox with the same key, from any block of the stream."""
    key = np.array([seed, stream], dtype=np.uint64)
    expected = np.random.Philox(key=key).random_raw(4 * block + n)[4 * block :]

    assert random_bits(seed, [stream], 4 * block, n).tolist() == [expected.tolist()]


def test_a_counter_of_more_than_32_bits_agrees_with_numpy() -> None:
    """The carry between the halves of the counter is correct."""
    counter = [2**40 + 3, 0, 0, 0]
    expected = np.random.Philox(key=[1, 2], counter=counter).random_raw(5)

    assert random_bits(1, [2], 4 * (2**40 + 3), 5)[0].tolist() == expected.tolist()


@given(words, st.lists(words, max_size=3), st.integers(0, 3), st.integers(0, 13))
def test_a_draw_is_the_normal_quantile_of_its_bits(
    seed: int, streams: list[int], block: int, n: int
) -> None:
    """The standard library agrees on the quantile of the upper 52 bits plus a half."""
    bits = random_bits(seed, streams, 4 * block, n)
    expected = [
        [NormalDist().inv_cdf(((int(one) >> 12) + 0.5) / 2**52) for one in row] for row in bits
    ]

    found = normal_draws(seed, streams, 4 * block, n)

    np.testing.assert_allclose(found, np.array(expected).reshape(found.shape), rtol=1e-14)


@pytest.mark.parametrize("exponent", range(1, 53))
def test_quantiles_agree_to_the_smallest_tails_and_are_symmetric(exponent: int) -> None:
    """Both pieces of the approximation agree, up to 8.2 standard deviations on either side."""
    u = 0.5**exponent * 0.9 if exponent < 52 else 0.5**53
    expected = NormalDist().inv_cdf(u)
    quantile = simulation._central_quantile(u - 0.5) if u > 0.075 else simulation._tail_quantile(u)

    assert quantile == pytest.approx(expected, rel=1e-14)
    assert simulation._tail_quantile(1.0 - 0.5**53) == -simulation._tail_quantile(0.5**53)


def test_a_stream_does_not_depend_on_other_streams() -> None:
    """It does not depend on the number of draws in one call either."""
    together = normal_draws(7, [11, 12], 0, 16)

    assert_same_bits(normal_draws(7, [12], 0, 16)[0], together[1])
    assert_same_bits(normal_draws(7, [12], 8, 5)[0], together[1, 8:13])
