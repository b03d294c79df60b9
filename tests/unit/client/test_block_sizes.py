"""Block sizes: predicted from the registry of measures and from measured costs."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np
import pytest

from risk_tasks.client.partitioning import LARGEST, TARGET_BLOCK_US, BlockSizer, cut
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.wire.answer import AnswerBlock, AnswerHead
from tests.unit.client.support import TERMS, request_of, row_of

TERMS = replace(TERMS, measures=parse_measures(None))


def request_for(n_portfolios, n_positions=20):
    return replace(request_of([row_of(0, n_positions)] * n_portfolios), terms=TERMS)


def answer(n, compute_ms):
    stamp = AnswerHead(timings={"compute_ms": compute_ms})
    return AnswerBlock(stamp, np.zeros(n, np.int8), np.zeros(n, np.int32), {})


def sizes(sizer, request):
    return [len(block) for block in cut(request, sizer.bounds(request))]


def test_a_small_call_is_one_message():
    """A second message costs more than it saves."""
    assert sizes(BlockSizer(), request_for(10)) == [10]


@pytest.mark.parametrize("us_per_check", [2.0, 20.0, 500.0])
def test_blocks_are_of_equal_cost_and_not_beyond_the_bound(us_per_check):
    """The measured cost decides, not the registry."""
    sizer, request = BlockSizer(), request_for(3_000)
    sizer.learn(request, [answer(3_000, us_per_check * 3)])

    found = sizes(sizer, request)

    assert max(found) * us_per_check <= TARGET_BLOCK_US + 2 * us_per_check
    assert len(found) <= max(2, ceil(3_000 * us_per_check / TARGET_BLOCK_US)) + 1
    assert len(found) == 1 or min(found[:-1]) >= max(found) - 1


def test_a_call_is_cut_only_above_the_target_cost():
    """A message costs as much as hundreds of checks."""
    for cost_us, n_blocks in ((TARGET_BLOCK_US - 1_000, 1), (TARGET_BLOCK_US + 1_000, 2)):
        sizer, request = BlockSizer(), request_for(3_000)
        sizer.learn(request, [answer(3_000, cost_us / 1e3)])

        assert len(sizes(sizer, request)) == n_blocks


def test_a_cost_is_learned_for_its_measures_only():
    """An expensive measure does not make the blocks of cheap ones small."""
    sizer, request = BlockSizer(), request_for(3_000)
    usual = sizer.bounds(request)
    cheap = replace(request, terms=replace(TERMS, measures=parse_measures(["net_exposure"])))

    sizer.learn(cheap, [answer(3_000, 30_000.0)])

    assert sizer.bounds(request) == usual


def test_no_cost_makes_a_block_larger_than_the_largest():
    """Checks that cost nothing still take bytes."""
    sizer, request = BlockSizer(), request_for(30_000, 1)
    sizer.learn(request, [answer(30_000, 5.0)])

    assert max(sizes(sizer, request)) <= LARGEST.max_checks


def test_a_small_block_raises_no_cost():
    """Its time may be that of loading a market."""
    sizer, request = BlockSizer(), request_for(3_000)
    usual = sizer.bounds(request)

    sizer.learn(request_for(10), [answer(10, 400.0)])

    assert sizer.bounds(request) == usual


def test_the_cost_of_a_cold_first_block_is_corrected():
    """It loaded its market; later blocks cost 15 us a check and 500 us a block."""
    sizer, request = BlockSizer(), request_for(3_000)
    sizer.learn(request, [answer(3_000, 300_000.0)])
    assert len(sizes(sizer, request)) > 1_000

    for _ in range(4):
        blocks = sizes(sizer, request)
        sizer.learn(request, [answer(n, 0.5 + 0.015 * n) for n in blocks])

    assert len(sizes(sizer, request)) == 2


def test_answers_without_times_are_ignored():
    """Such as that of a block that was refused as a whole."""
    sizer, request = BlockSizer(), request_for(3)
    sizer.learn(
        request, [AnswerBlock(AnswerHead(), np.zeros(3, np.int8), np.zeros(3, np.int32), {})]
    )
    sizer.learn(request_of([]), [])

    assert sizes(sizer, request) == [3]


def test_more_paths_make_smaller_blocks():
    """The registry knows the cost of a path, before any answer is measured."""
    names = parse_measures(["monte_carlo_value_at_risk"])
    terms = [replace(TERMS, measures=names, settings=MeasureSettings(n_paths=n)) for n in PATHS]

    blocks = [len(sizes(BlockSizer(), replace(request_for(500), terms=one))) for one in terms]

    assert 2 <= blocks[0] < blocks[1] / 5


def test_a_cost_from_cached_results_does_not_lower_the_prediction():
    """On a new market the results have to be computed."""
    terms = replace(TERMS, measures=parse_measures(["monte_carlo_value_at_risk"]))
    sizer, request = BlockSizer(), replace(request_for(500), terms=terms)
    cold = sizes(sizer, request)

    sizer.learn(request, [answer(500, 2.0)])
    assert sizes(sizer, request) == cold
    sizer.learn(request, [answer(500, 1_000.0)])
    assert len(sizes(sizer, request)) > len(cold)


PATHS = (10_000, 100_000)
