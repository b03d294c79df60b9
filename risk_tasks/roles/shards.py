"""A worker's shards: what it leases, and in which order it looks at its lists."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from risk_tasks.broker.consumer import Order
from risk_tasks.errors import ShardCountError, TransportError
from risk_tasks.queues import SHARDED_LANES, Lane, shard_queue
from risk_tasks.roles.presence import Repeater
from risk_tasks.sharding import Moves, next_moves
from risk_tasks.store.shards import LaneLeases, ShardStore

log = structlog.get_logger("risk_tasks")

#: how soon a worker sees that others came or went, and that a neighbour is late
_EVERY_S = 0.25
#: to take what another gave up in between; what is left is the next look's
_MOST_ROUNDS = 3


class ServedShards:
    """What a worker serves of its lanes: the shards that it leases, and others' that are late."""

    def __init__(
        self, store: ShardStore, worker: str, lanes: Sequence[Lane], n_shards: int
    ) -> None:
        self._store = store
        self._worker = worker
        self._lanes = lanes
        self._sharded = [lane for lane in lanes if lane in SHARDED_LANES]
        self._n_shards = n_shards
        self._found = {lane: LaneLeases() for lane in self._sharded}
        self._order = self._ordered()
        self._draining = False
        self._is_over = False
        self._repeater = Repeater(self.look, every_s=_EVERY_S, name="shards")

    def start(self) -> None:
        if self._n_shards > 1 and self._sharded:
            self._repeater.start()

    def drain(self) -> None:
        """Give up every shard at the next look. May be called where a signal came in."""
        self._draining = True

    def stop(self) -> None:
        """Give up every shard, so that others need not wait for this worker's death."""
        if self._n_shards == 1 or not self._sharded:
            return
        self._repeater.stop()
        try:
            self._leave()
        except TransportError as error:
            log.warning("shards.not_given_up", error=str(error))

    def order(self) -> Order:
        """Return by lane the lists that are this worker's own, and those that it helps with."""
        return self._order

    def look(self) -> None:
        """Renew the leases, give up what is too much, and take what is free."""
        if self._is_over:
            return
        if self._draining:
            self._leave()
            return
        before = self._mine()
        for _ in range(_MOST_ROUNDS):
            moves = {lane: self._moves(lane) for lane in self._sharded}
            try:
                self._found = self._store.hold(self._worker, self._n_shards, moves)
            except ShardCountError as error:
                # It goes on with what is not cut.
                self._found = {lane: LaneLeases() for lane in self._sharded}
                self._is_over = True
                log.warning("shards.changed", error=str(error), remedy=error.remedy)
                break
            if not any(self._moves(lane) for lane in self._sharded):
                break
        self._order = self._ordered()
        mine = self._mine()
        if mine != before:
            told = {lane.value: len(shards) for lane, shards in mine.items()}
            log.info("shards.leased", name=self._worker, **told)

    def _leave(self) -> None:
        self._store.leave(self._worker, self._sharded)

    def _moves(self, lane: Lane) -> Moves:
        found = self._found[lane]
        if self._worker not in found.workers:
            return Moves()
        return next_moves(self._worker, found.workers, found.leases, self._n_shards)

    def _mine(self) -> dict[Lane, list[int]]:
        return {
            lane: sorted(shard for shard, name in found.leases.items() if name == self._worker)
            for lane, found in self._found.items()
        }

    def _ordered(self) -> Order:
        mine = self._mine()
        return [
            (
                [lane.queue, *(shard_queue(lane, shard) for shard in mine.get(lane, ()))],
                [
                    shard_queue(lane, shard)
                    for shard in (self._found[lane].late if lane in mine else ())
                    if shard not in mine[lane]
                ],
            )
            for lane in self._lanes
        ]
