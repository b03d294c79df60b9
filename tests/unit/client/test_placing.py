"""Which shard a block goes to, and that no caller sees in which order its rows were sent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.broker.blocks import StampRequest
from risk_tasks.client.partitioning import Owners, Pace, PlacedPart, Routing, is_remembered, place
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.measures import parse_measures
from risk_tasks.queues import Lane
from risk_tasks.sharding import shard_of
from risk_tasks.wire.answer import AnswerBlock, AnswerHead
from tests.unit.client.support import TERMS, request_of, row_of, rows_of

STAMP = StampRequest("", "")
COSTLY = replace(TERMS, measures=parse_measures(["monte_carlo_value_at_risk"]))


def owners(n_workers: int, n_shards: int = 16) -> Owners:
    return Owners.of({shard: f"w{shard % n_workers}" for shard in range(n_shards)}, n_shards)


def asked(n: int, terms=COSTLY):
    return replace(request_of([row_of(number, 20) for number in range(n)]), terms=terms)


def placed(n, view, terms=COSTLY, *, in_order=False) -> PlacedPart:
    return place((asked(n, terms), STAMP), Pace(), view, in_order=in_order)


def owner_of(view: Owners, name: str) -> int:
    return int(view.owner[shard_of(name, view.n_shards)])


def test_what_any_worker_does_as_well_is_not_cut_by_owner():
    """It would cost a copy of the positions, and nothing would be found."""
    assert is_remembered(COSTLY)
    assert not is_remembered(TERMS)
    part = placed(4_000, owners(2), TERMS)

    assert part.order is None
    assert [row for block in part.blocks for row in rows_of(block)] == rows_of(asked(4_000, TERMS))


@pytest.mark.parametrize("n_workers", [2, 3, 4])
def test_a_call_without_memory_goes_to_the_owners_in_turn(n_workers):
    view = owners(n_workers)
    part = placed(40_000, view, TERMS)

    served = [int(view.owner[shard]) for shard in part.shards]
    assert len(served) >= 2
    assert served == [(served[0] + turn) % n_workers for turn in range(len(served))]


@pytest.mark.parametrize("n_workers", [2, 3, 4])
def test_costly_portfolios_go_to_the_worker_that_remembers_them(n_workers):
    view = owners(n_workers)
    part = placed(300, view)

    assert part.order is not None
    for block, shard in zip(part.blocks, part.shards):
        names = block.portfolio_ids.to_pylist()
        assert {owner_of(view, name) for name in names} == {int(view.owner[shard])}
    names = [name for block in part.blocks for name in block.portfolio_ids.to_pylist()]
    assert [names[at] for at in part.order] == asked(300).portfolio_ids.to_pylist()


def test_cutting_by_owner_makes_no_more_blocks_than_cost_does():
    """Not one for each shard."""
    usual = len(placed(300, None).blocks)

    assert len(placed(300, owners(2)).blocks) <= usual + 2


@pytest.mark.parametrize("view", [None, owners(1)], ids=["not cut", "one owner"])
def test_where_there_is_nothing_to_choose_nothing_is_moved(view):
    part = placed(300, view)

    assert part.order is None
    assert set(part.shards) <= ({None} if view is None else set(range(16)))


def test_what_is_read_by_its_id_stays_in_order():
    part = placed(300, owners(2), in_order=True)

    assert part.order is None
    assert [row for block in part.blocks for row in rows_of(block)] == rows_of(asked(300))


def test_a_lone_check_goes_to_its_own_shard():
    for name in ("a", "b", "c", ""):
        block = replace(asked(1), portfolio_ids=pa.array([name]))
        assert owners(2).shards_for([block]) == [shard_of(name, 16)]


def test_a_few_go_to_whoever_has_most_of_them():
    view = owners(4)
    block = asked(9)
    names = block.portfolio_ids.to_pylist()
    counts = np.bincount([owner_of(view, name) for name in names], minlength=4)

    (shard,) = view.shards_for([block])

    assert counts[view.owner[shard]] == counts.max()
    assert shard in {shard_of(name, 16) for name in names}


def test_shards_that_nobody_leases_count_as_one_owners():
    view = Owners.of({0: "a"}, 4)

    assert view.n_owners == 2
    assert view.owner.tolist() == [1, 0, 0, 0]


class Store:
    def __init__(self) -> None:
        self.n_reads = 0

    def leases(self, lane):
        self.n_reads += 1
        return {0: "a", 1: "b"}


def test_leases_are_read_once_a_second_and_only_where_lanes_are_cut():
    store, now = Store(), [0.0]
    routing = Routing(store, lambda: now[0])
    assert [routing.owners(lane) for lane in Lane] == [None, None, None]
    assert store.n_reads == 0

    routing.told(2)
    assert routing.owners(Lane.CRITICAL) is None
    assert routing.owners(Lane.NORMAL).n_owners == 2
    now[0] = 0.9
    routing.owners(Lane.NORMAL)
    assert store.n_reads == 1
    now[0] = 1.1
    routing.owners(Lane.NORMAL)
    assert store.n_reads == 2


def test_another_number_of_shards_is_taken_note_of_at_once():
    routing = Routing(Store(), lambda: 0.0)
    routing.told(2)
    assert routing.owners(Lane.NORMAL).n_shards == 2
    routing.told(8)
    assert routing.owners(Lane.NORMAL).n_shards == 8
    routing.told(1)
    assert routing.owners(Lane.NORMAL) is None


@given(st.integers(30, 80), st.integers(2, 5), st.integers(2, 32))
def test_answers_come_in_the_order_of_the_request(n, n_workers, n_shards):
    """Whatever was sent where: each answer is that of its portfolio."""
    part = placed(n, owners(n_workers, n_shards))
    number_of = {name: number for number, name in enumerate(asked(n).portfolio_ids.to_pylist())}
    answers = []
    for block in part.blocks:
        numbers = np.array([number_of[name] for name in block.portfolio_ids.to_pylist()])
        outcomes = np.zeros(len(numbers), np.int8)
        columns = {"volatility": MeasureColumn(numbers.astype(float), outcomes)}
        counts = numbers.astype(np.int32)
        answers.append(AnswerBlock(AnswerHead(), outcomes, counts, columns))

    back = part.restore(answers)

    values = [v for answer in back for v in answer.columns["volatility"].values.tolist()]
    assert values == list(range(n))
