"""Requests are cut into blocks and split by limit set: no portfolio is lost or repeated."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.broker.blocks import IfMissing, StampRequest
from risk_tasks.client.partitioning import BlockBounds, by_limit_set, cut, select
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.wire.request import decode_request, encode_request
from tests.unit.client.support import TERMS, Row, request_of, requests, row_of, rows_of

bounds = st.builds(BlockBounds, st.integers(1, 5), st.integers(1, 9))


@given(requests, bounds)
def test_the_blocks_are_the_whole_request_in_order(request_, bounds):
    """Every portfolio once, with all of its fields; no block is empty."""
    blocks = list(cut(request_, bounds))

    assert [row for block in blocks for row in rows_of(block)] == rows_of(request_)
    assert all(len(block) for block in blocks)
    assert all(block.terms is request_.terms for block in blocks)


@given(requests, bounds)
def test_blocks_keep_within_their_bounds(request_, bounds):
    """In checks and in positions, unless a single portfolio is larger."""
    for block in cut(request_, bounds):
        assert len(block) <= bounds.max_checks
        assert len(block.instrument) <= bounds.max_positions or len(block) == 1


@given(requests, bounds)
def test_a_block_is_cut_only_where_the_next_portfolio_would_not_fit(request_, bounds):
    blocks = list(cut(request_, bounds))

    for block, following in pairwise(blocks):
        with_next = len(block.instrument) + int(following.offsets[1])
        assert len(block) == bounds.max_checks or with_next > bounds.max_positions


@given(requests, bounds)
def test_a_block_is_a_message_of_its_own(request_, bounds):
    """It is encoded and decoded without the others."""
    for block in cut(request_, bounds):
        assert rows_of(decode_request(encode_request(block))) == rows_of(block)


def test_a_portfolio_larger_than_a_block_is_a_block_of_its_own():
    rows = [row_of(place, size) for place, size in enumerate((1, 5, 1, 0))]

    blocks = cut(request_of(rows), BlockBounds(max_checks=9, max_positions=3))

    assert [block.portfolio_ids.to_pylist() for block in blocks] == [["p0"], ["p1"], ["p2", "p3"]]


def test_the_last_block_may_be_a_small_one():
    """Empty portfolios count too."""
    request = request_of([Row("p", [], None, None, {})] * 10_001)

    blocks = cut(request, BlockBounds(max_checks=2_500, max_positions=1))

    assert [len(block) for block in blocks] == [2_500] * 4 + [1]


@given(requests, st.data())
def test_selected_rows_are_in_the_given_order(request_, data):
    """A row may be selected several times."""
    place = st.integers(0, max(0, len(request_) - 1))
    places = data.draw(st.lists(place, max_size=8) if len(request_) else st.just([]))

    chosen = select(request_, np.array(places, dtype=np.int64))

    rows = rows_of(request_)
    assert rows_of(chosen) == [rows[place] for place in places]
    assert chosen.offsets.dtype == np.int64


DEFAULT = StampRequest("m", "default")
limit_set_names = st.none() | st.sampled_from(["default", "strict", "lax"])


@given(requests, st.data(), st.sampled_from(["default", "", "house"]))
def test_parts_by_limit_set_hold_every_portfolio_once(request_, data, default):
    """Each under the limit set that it names, the others under that of the call."""
    n = len(request_)
    names = data.draw(st.lists(limit_set_names, min_size=n, max_size=n))

    stamp = StampRequest("m", default)
    parts = list(by_limit_set(request_, stamp, pa.array(names, pa.string()))) if n else []

    together = [(row, stamp.limits) for part, stamp, _ in parts for row in rows_of(part)]
    order = np.argsort([row for _, _, rows in parts for row in rows], kind="stable").astype(int)
    expected = [default if name is None else name for name in names]
    assert [together[place] for place in order] == list(
        zip(rows_of(request_), expected, strict=True)
    )
    assert sorted(order) == list(range(n))
    assert {stamp.limits for _, stamp, _ in parts} == set(expected)


def test_without_limit_sets_the_request_is_one_part():
    """It is not copied."""
    request = request_of([Row("p", [("A", 1.0)], None, None, {})] * 3)

    ((part, stamp, rows),) = by_limit_set(request, DEFAULT, None)

    assert part is request
    assert stamp == DEFAULT
    assert rows.tolist() == [0, 1, 2]


def test_a_portfolio_with_its_own_limit_set_ignores_that_of_the_call():
    """Its part carries no inline limits and fails alone; the others keep those of the call."""
    own = LimitSet("own", [Limit("volatility", hard=1.0)])
    request = request_of([row_of(0, 1), row_of(1, 2)])
    request = replace(request, terms=replace(TERMS, limits=own))
    stamp = StampRequest("m", "", IfMissing.REFUSE)

    parts = by_limit_set(request, stamp, pa.array([None, "strict"]))

    found = {part.portfolio_ids[0].as_py(): (part.terms.limits, of) for part, of, _ in parts}
    assert found == {
        "p0": (own, stamp),
        "p1": (None, StampRequest("m", "strict", IfMissing.ANSWER)),
    }


@pytest.mark.parametrize("names", [["a", "b", "a", None, "b"], [None, "b", None, "a", "a"]])
def test_portfolios_of_one_limit_set_stay_in_their_order(names):
    rows = [Row(f"p{place}", [], None, None, {}) for place in range(5)]

    parts = by_limit_set(request_of(rows), DEFAULT, pa.array(names, pa.string()))

    for part, _, _ in parts:
        ids = part.portfolio_ids.to_pylist()
        assert ids == sorted(ids)
