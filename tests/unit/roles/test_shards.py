"""What a worker leases and looks at, over leases that a test holds in memory."""

from __future__ import annotations

import pytest

from risk_tasks.errors import ShardCountError, TransportError
from risk_tasks.queues import Lane
from risk_tasks.roles.shards import ServedShards
from risk_tasks.store.shards import LaneLeases

LANES = list(Lane)
NORMAL, BATCH = Lane.NORMAL, Lane.BATCH


class Leases:
    """Does with leases what the server does."""

    def __init__(self) -> None:
        self.workers = []
        self.held = {NORMAL: {}, BATCH: {}}
        self.late = {NORMAL: (), BATCH: ()}
        self.error = None
        self.n_calls = 0

    def hold(self, worker, n_shards, moves):
        self.n_calls += 1
        if self.error:
            raise self.error
        if worker not in self.workers:
            self.workers.append(worker)
        for lane, one in moves.items():
            for shard in one.give_up:
                assert self.held[lane].pop(shard) == worker
            for shard in one.take:
                self.held[lane].setdefault(shard, worker)
        return {
            lane: LaneLeases(tuple(self.workers), dict(self.held[lane]), self.late[lane])
            for lane in moves
        }

    def leave(self, worker, lanes):
        self.workers.remove(worker)
        for lane in lanes:
            self.held[lane] = {k: v for k, v in self.held[lane].items() if v != worker}


@pytest.fixture
def leases() -> Leases:
    return Leases()


def test_the_first_worker_takes_all_at_its_first_look(leases):
    served = ServedShards(leases, "a", LANES, 3)
    assert served.order() == [(["risk.critical"], []), (["risk.normal"], []), (["risk.batch"], [])]

    served.look()

    assert served.order() == [
        (["risk.critical"], []),
        (["risk.normal", "risk.normal.0", "risk.normal.1", "risk.normal.2"], []),
        (["risk.batch", "risk.batch.0", "risk.batch.1", "risk.batch.2"], []),
    ]


def test_a_second_one_has_its_share_once_the_first_has_looked_again(leases):
    first, second = (ServedShards(leases, name, LANES, 4) for name in "ab")
    first.look()
    second.look()
    assert set(leases.held[NORMAL].values()) == {"a"}

    first.look()
    second.look()

    assert leases.held == {lane: {0: "a", 1: "a", 2: "b", 3: "b"} for lane in (NORMAL, BATCH)}
    assert first.order()[1] == (["risk.normal", "risk.normal.0", "risk.normal.1"], [])
    assert second.order()[1] == (["risk.normal", "risk.normal.2", "risk.normal.3"], [])


def test_at_rest_a_look_is_one_call(leases):
    served = ServedShards(leases, "a", LANES, 3)
    served.look()
    before = leases.n_calls

    served.look()

    assert leases.n_calls == before + 1


def test_late_shards_of_others_are_helped_with_and_own_ones_are_own(leases):
    leases.workers, leases.held[NORMAL] = ["z"], {0: "z", 1: "z", 2: "z", 3: "z"}
    leases.held[NORMAL].update({2: "a", 3: "a"})
    leases.late[NORMAL] = (1, 3, 0)
    served = ServedShards(leases, "a", [NORMAL], 4)

    served.look()

    own = ["risk.normal", "risk.normal.2", "risk.normal.3"]
    assert served.order() == [(own, ["risk.normal.1", "risk.normal.0"])]


def test_one_that_drains_gives_all_up_and_takes_nothing_back(leases):
    served = ServedShards(leases, "a", LANES, 3)
    served.look()
    assert len(leases.held[NORMAL]) == 3

    served.drain()
    served.look()

    assert leases.held == {NORMAL: {}, BATCH: {}}
    assert leases.workers == []


def test_where_the_number_has_changed_it_serves_what_is_not_cut(leases):
    served = ServedShards(leases, "a", LANES, 3)
    served.look()
    leases.error = ShardCountError()

    served.look()
    served.look()

    assert leases.n_calls == 3
    assert [own for own, _ in served.order()] == [[lane.queue] for lane in Lane]


def test_while_the_server_is_away_it_goes_on_as_before(leases):
    served = ServedShards(leases, "a", LANES, 3)
    served.look()
    before = served.order()
    leases.error = TransportError()

    with pytest.raises(TransportError):
        served.look()

    assert served.order() == before
