"""The order in which a worker looks at its lists, with shards and without."""

from __future__ import annotations

from collections import Counter

import pytest

from risk_tasks.broker.consumer import RESERVED_SHARE, LaneCycle

LANES = ["c", "n", "b"]


@pytest.fixture
def cycle() -> LaneCycle:
    cycle = LaneCycle()
    cycle.update(["c", "n", "n.0", "n.1", "n.2", "b", "b.0", "b.1", "b.2"])
    return cycle


def fetches(cycle: LaneCycle, n: int) -> list[list[str]]:
    return [cycle.consume(len(cycle.items)) for _ in range(n)]


def lanes_of(queues: list[str]) -> list[str]:
    """The lanes in the order in which they are looked at, each once where it is not torn apart."""
    lanes = [queue[0] for queue in queues]
    return [lane for place, lane in enumerate(lanes) if place == 0 or lanes[place - 1] != lane]


def test_without_shards_one_fetch_in_twenty_begins_with_the_last_lane():
    cycle = LaneCycle()
    cycle.update(LANES)

    looked = fetches(cycle, 2 * RESERVED_SHARE)

    assert looked.count(["b", "c", "n"]) == 2
    assert looked.count(LANES) == len(looked) - 2


def test_a_shard_that_joins_is_looked_at_in_its_lane_and_not_behind_the_last(cycle):
    """As a list that is added to a consumer would be."""
    order = [[(["c"], []), (["n", "n.1"], []), (["b", "b.1"], [])]]
    cycle.follow(lambda: order[-1])
    fetches(cycle, 3)
    order.append([(["c"], []), (["n", "n.1", "n.2"], []), (["b", "b.1", "b.2"], [])])

    for place, queues in enumerate(fetches(cycle, RESERVED_SHARE), 4):
        assert lanes_of(queues) == (["b", "c", "n"] if place % RESERVED_SHARE == 0 else LANES)
        assert set(queues) == {"c", "n", "n.1", "n.2", "b", "b.1", "b.2"}


def test_each_of_a_lanes_own_lists_is_first_in_its_turn(cycle):
    """Else the last of them would starve while the first is full."""
    cycle.follow(lambda: [(["n", "n.0", "n.1", "n.2"], [])])

    first = Counter(queues[0] for queues in fetches(cycle, 40))

    assert first == {"n": 10, "n.0": 10, "n.1": 10, "n.2": 10}


def test_a_neighbours_lists_come_after_the_own_ones_of_the_same_lane(cycle):
    cycle.follow(lambda: [(["n", "n.0"], ["n.2", "n.1"]), (["b"], ["b.1"])])

    assert cycle.consume(9) in (
        ["n", "n.0", "n.2", "n.1", "b", "b.1"],
        ["n.0", "n", "n.2", "n.1", "b", "b.1"],
    )


def test_what_is_not_subscribed_to_is_not_looked_at(cycle):
    """While a worker drains it has no subscriptions, and kombu knows nobody to deliver to."""
    cycle.follow(lambda: [(["n", "n.9"], ["n.0"])])

    assert set(cycle.consume(9)) == {"n", "n.0"}
    cycle.update([])
    assert cycle.consume(0) == []
