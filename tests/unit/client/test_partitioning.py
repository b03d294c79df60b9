"""Which blocks and shards a request becomes, and the permutation back to its order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.broker.blocks import StampRequest
from risk_tasks.client.partitioning import (
    BlockSizer,
    Partition,
    ShardOwners,
    ShardRouter,
    is_cached,
    partition,
)
from risk_tasks.model.measures import parse_measures
from risk_tasks.queues import Lane
from risk_tasks.store.shards import shard_of
from tests.unit.client.support import TERMS, request_of, row_of, rows_of

STAMP = StampRequest("", "")
COSTLY = replace(TERMS, measures=parse_measures(["monte_carlo_value_at_risk"]))


def owners(n_workers: int, n_shards: int = 16) -> ShardOwners:
    return ShardOwners.of({shard: f"w{shard % n_workers}" for shard in range(n_shards)}, n_shards)


def request_for(n: int, terms=COSTLY):
    return replace(request_of([row_of(number, 20) for number in range(n)]), terms=terms)


def partitioned(n, view, terms=COSTLY, **how) -> Partition:
    return partition(request_for(n, terms), STAMP, BlockSizer(), view, **how)


def sent_rows(parts: Partition) -> list:
    return [row for block in parts.blocks for row in rows_of(block.request)]


def sent_ids(parts: Partition) -> list[str]:
    return [row.id for row in sent_rows(parts)]


def owner_of(view: ShardOwners, name: str) -> int:
    return int(view.owner[shard_of(name, view.n_shards)])


def test_a_request_without_cached_measures_is_not_split_by_owner():
    """It would cost a copy of the positions, and no cache would be hit."""
    assert is_cached(COSTLY)
    assert not is_cached(TERMS)
    parts = partitioned(4_000, owners(2), TERMS)

    assert parts.order is None
    assert sent_rows(parts) == rows_of(request_for(4_000, TERMS))


@pytest.mark.parametrize("n_workers", [2, 3, 4])
def test_blocks_without_cached_measures_go_round_robin(n_workers):
    view = owners(n_workers)
    parts = partitioned(40_000, view, TERMS)

    served = [int(view.owner[block.shard]) for block in parts.blocks]
    assert len(served) >= 2
    assert served == [(served[0] + number) % n_workers for number in range(len(served))]


@pytest.mark.parametrize("n_workers", [2, 3, 4])
def test_costly_portfolios_go_to_the_owner_of_their_shard(n_workers):
    view = owners(n_workers)
    parts = partitioned(300, view)

    assert parts.order is not None
    for block in parts.blocks:
        names = block.request.portfolio_ids.to_pylist()
        assert {owner_of(view, name) for name in names} == {int(view.owner[block.shard])}
    names = sent_ids(parts)
    assert [names[place] for place in parts.order] == request_for(300).portfolio_ids.to_pylist()


def test_a_split_by_owner_makes_few_more_blocks_than_one_by_cost():
    usual = len(partitioned(300, None).blocks)

    assert len(partitioned(300, owners(2)).blocks) <= usual + 2


@pytest.mark.parametrize("view", [None, owners(1)], ids=["no shards", "one owner"])
def test_without_a_choice_of_owners_the_order_stays(view):
    parts = partitioned(300, view)

    assert parts.order is None
    shards = {block.shard for block in parts.blocks}
    assert shards <= ({None} if view is None else set(range(16)))


def test_a_request_that_keeps_its_order_is_not_split_by_owner():
    parts = partitioned(300, owners(2), keep_order=True)

    assert parts.order is None
    assert sent_rows(parts) == rows_of(request_for(300))


limit_set_names = st.none() | st.sampled_from(["default", "strict", "lax"])


@given(st.integers(1, 80), st.none() | st.integers(1, 5), st.integers(2, 32), st.data())
def test_one_permutation_restores_the_order_for_any_limit_sets_and_owners(
    n, n_workers, n_shards, data
):
    """Each portfolio is sent once, under its own limit set, in a block of one limit set."""
    names = data.draw(st.lists(limit_set_names, min_size=n, max_size=n))
    view = None if n_workers is None else owners(n_workers, n_shards)

    parts = partitioned(n, view, limit_sets=pa.array(names, pa.string()))

    under = [block.stamp.limits for block in parts.blocks for _ in range(len(block.request))]
    found = list(zip(sent_rows(parts), under, strict=True))
    order = range(n) if parts.order is None else parts.order
    expected = list(zip(rows_of(request_for(n)), [name or "" for name in names], strict=True))
    assert [found[place] for place in order] == expected


def test_a_single_check_goes_to_its_own_shard():
    for name in ("a", "b", "c", ""):
        block = replace(request_for(1), portfolio_ids=pa.array([name]))
        assert owners(2).shards_for([block]) == [shard_of(name, 16)]


def test_a_block_goes_to_the_owner_of_most_of_its_portfolios():
    view = owners(4)
    block = request_for(9)
    names = block.portfolio_ids.to_pylist()
    counts = np.bincount([owner_of(view, name) for name in names], minlength=4)

    (shard,) = view.shards_for([block])

    assert counts[view.owner[shard]] == counts.max()
    assert shard in {shard_of(name, 16) for name in names}


def test_shards_without_a_lease_count_as_owned_by_one_worker():
    view = ShardOwners.of({0: "a"}, 4)

    assert view.n_owners == 2
    assert view.owner.tolist() == [1, 0, 0, 0]


class Store:
    def __init__(self) -> None:
        self.n_reads = 0

    def leases(self, lane):
        self.n_reads += 1
        return {0: "a", 1: "b"}


def test_leases_are_read_once_a_second_and_only_for_lanes_with_shards():
    store, now = Store(), [0.0]
    router = ShardRouter(store, lambda: now[0])
    assert [router.owners(lane) for lane in Lane] == [None, None, None]
    assert store.n_reads == 0

    router.set_n_shards(2)
    assert router.owners(Lane.CRITICAL) is None
    assert router.owners(Lane.NORMAL).n_owners == 2
    now[0] = 0.9
    router.owners(Lane.NORMAL)
    assert store.n_reads == 1
    now[0] = 1.1
    router.owners(Lane.NORMAL)
    assert store.n_reads == 2


def test_another_number_of_shards_counts_at_once():
    router = ShardRouter(Store(), lambda: 0.0)
    router.set_n_shards(2)
    assert router.owners(Lane.NORMAL).n_shards == 2
    router.set_n_shards(8)
    assert router.owners(Lane.NORMAL).n_shards == 8
    router.set_n_shards(1)
    assert router.owners(Lane.NORMAL) is None
