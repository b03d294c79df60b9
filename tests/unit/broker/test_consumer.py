"""The order in which a worker reads its queues, with and without shards."""

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
    """The lanes in the order in which they are read; the queues of a lane must be adjacent."""
    lanes = [queue[0] for queue in queues]
    return [lane for index, lane in enumerate(lanes) if index == 0 or lanes[index - 1] != lane]


def test_without_shards_one_fetch_in_twenty_reads_the_last_lane_first():
    cycle = LaneCycle()
    cycle.update(LANES)

    looked = fetches(cycle, 2 * RESERVED_SHARE)

    assert looked.count(["b", "c", "n"]) == 2
    assert looked.count(LANES) == len(looked) - 2


def test_a_new_shard_is_read_with_its_lane_and_not_after_the_last_lane(cycle):
    """Celery would read a queue that was added to a consumer last."""
    order = [[(["c"], []), (["n", "n.1"], []), (["b", "b.1"], [])]]
    cycle.follow(lambda: order[-1])
    fetches(cycle, 3)
    order.append([(["c"], []), (["n", "n.1", "n.2"], []), (["b", "b.1", "b.2"], [])])

    for index, queues in enumerate(fetches(cycle, RESERVED_SHARE), 4):
        assert lanes_of(queues) == (["b", "c", "n"] if index % RESERVED_SHARE == 0 else LANES)
        assert set(queues) == {"c", "n", "n.1", "n.2", "b", "b.1", "b.2"}


def test_each_own_queue_of_a_lane_is_read_first_equally_often(cycle):
    """Otherwise the last queue would starve while the first one is full."""
    cycle.follow(lambda: [(["n", "n.0", "n.1", "n.2"], [])])

    first = Counter(queues[0] for queues in fetches(cycle, 40))

    assert first == {"n": 10, "n.0": 10, "n.1": 10, "n.2": 10}


def test_late_queues_of_other_workers_are_read_after_own_queues_of_the_same_lane(cycle):
    cycle.follow(lambda: [(["n", "n.0"], ["n.2", "n.1"]), (["b"], ["b.1"])])

    assert cycle.consume(9) in (
        ["n", "n.0", "n.2", "n.1", "b", "b.1"],
        ["n.0", "n", "n.2", "n.1", "b", "b.1"],
    )


def test_a_queue_without_a_subscription_is_not_read(cycle):
    """A draining worker has no subscriptions, and kombu has no consumer for a message."""
    cycle.follow(lambda: [(["n", "n.9"], ["n.0"])])

    assert set(cycle.consume(9)) == {"n", "n.0"}
    cycle.update([])
    assert cycle.consume(0) == []
