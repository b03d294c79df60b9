"""The shards that a worker serves, with leases that a test sets."""

from __future__ import annotations

import pytest

from risk_tasks.errors import ShardCountError, TransportError
from risk_tasks.queues import Lane
from risk_tasks.roles.shards import ServedShards
from risk_tasks.store.shards import LeasedShards

LANES = list(Lane)
NORMAL, BATCH = Lane.NORMAL, Lane.BATCH


class FakeStore:
    """Returns the leases that a test sets."""

    def __init__(self) -> None:
        self.leased = {NORMAL: LeasedShards((0, 1, 2)), BATCH: LeasedShards((0, 1, 2))}
        self.error = None
        self.n_calls = 0
        self.left = []

    def renew(self, worker, n_shards, lanes):
        self.n_calls += 1
        if self.error:
            raise self.error
        return {lane: self.leased[lane] for lane in lanes}

    def leave(self, worker, lanes):
        self.left.append((worker, list(lanes)))


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def test_a_worker_serves_its_lanes_first_and_its_shards_after_one_look(store):
    served = ServedShards(store, "a", LANES, 3)
    assert served.order() == [(["risk.critical"], []), (["risk.normal"], []), (["risk.batch"], [])]

    served.look()

    assert served.order() == [
        (["risk.critical"], []),
        (["risk.normal", "risk.normal.0", "risk.normal.1", "risk.normal.2"], []),
        (["risk.batch", "risk.batch.0", "risk.batch.1", "risk.batch.2"], []),
    ]
    assert store.n_calls == 1


def test_late_shards_of_others_come_after_the_own_ones(store):
    store.leased[NORMAL] = LeasedShards((2, 3), late=(1, 3, 0))
    served = ServedShards(store, "a", [NORMAL], 4)

    served.look()

    own = ["risk.normal", "risk.normal.2", "risk.normal.3"]
    assert served.order() == [(own, ["risk.normal.1", "risk.normal.0"])]


def test_a_draining_worker_leaves_and_renews_no_lease(store):
    served = ServedShards(store, "a", LANES, 3)
    served.look()

    served.drain()
    served.look()

    assert store.left == [("a", [NORMAL, BATCH])]
    assert store.n_calls == 1


def test_a_worker_whose_number_of_shards_is_outdated_serves_the_queues_of_its_lanes(store):
    served = ServedShards(store, "a", LANES, 3)
    served.look()
    store.error = ShardCountError()

    served.look()
    served.look()

    assert store.n_calls == 2
    assert [own for own, _ in served.order()] == [[lane.queue] for lane in Lane]


def test_without_shards_nothing_is_leased(store):
    served = ServedShards(store, "a", LANES, 1)

    served.look()
    served.stop()

    assert (store.n_calls, store.left) == (0, [])


def test_while_the_server_is_unreachable_the_order_stays(store):
    served = ServedShards(store, "a", LANES, 3)
    served.look()
    before = served.order()
    store.error = TransportError()

    with pytest.raises(TransportError):
        served.look()

    assert served.order() == before
