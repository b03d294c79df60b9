"""The shards that a worker serves, and the order in which it fetches from its queues."""

from __future__ import annotations

from collections.abc import Sequence

from risk_tasks.broker.consumer import Order
from risk_tasks.errors import ShardCountError, TransportError
from risk_tasks.log import log
from risk_tasks.queues import SHARDED_LANES, Lane, shard_queue
from risk_tasks.roles.presence import Repeater
from risk_tasks.store.shards import LeasedShards, ShardStore

#: how often a worker renews its leases and looks for late shards of others
_EVERY_S = 0.25


class ServedShards:
    """The shards that a worker leases, and shards of others that are late."""

    def __init__(
        self, store: ShardStore, worker: str, lanes: Sequence[Lane], n_shards: int
    ) -> None:
        self._store = store
        self._worker = worker
        self._lanes = lanes
        self._sharded = [lane for lane in lanes if lane in SHARDED_LANES and n_shards > 1]
        self._n_shards = n_shards
        self._leased: dict[Lane, LeasedShards] = {}
        self._order = self._queues()
        self._is_draining = False
        self._repeater = Repeater(self.look, every_s=_EVERY_S, name="shards")

    def start(self) -> None:
        if self._sharded:
            self._repeater.start()

    def drain(self) -> None:
        """Release every shard at the next look. Safe to call from a signal handler."""
        self._is_draining = True

    def stop(self) -> None:
        """Release every shard, so that other workers get them before this one times out."""
        if not self._sharded:
            return
        self._repeater.stop()
        try:
            self._store.leave(self._worker, self._sharded)
        except TransportError as error:
            log.warning("shards.not_released", error=str(error))

    def look(self) -> None:
        """Renew the leases of this worker."""
        if self._is_draining:
            self._store.leave(self._worker, self._sharded)
            return
        if not self._sharded:
            return
        try:
            leased = self._store.renew(self._worker, self._n_shards, self._sharded)
        except ShardCountError as error:
            # The worker continues with the queues of its lanes.
            leased, self._sharded = {}, []
            log.warning("shards.changed", error=str(error), remedy=error.remedy)
        before, after = ({lane: one.own for lane, one in s.items()} for s in (self._leased, leased))
        self._leased = leased
        self._order = self._queues()
        if before != after:
            counts = {lane.value: len(shards) for lane, shards in after.items()}
            log.info("shards.leased", name=self._worker, **counts)

    def order(self) -> Order:
        """Return for each lane the queues of this worker, and late queues of others."""
        return self._order

    def _queues(self) -> Order:
        order = []
        for lane in self._lanes:
            leased = self._leased.get(lane, LeasedShards())
            late = [shard for shard in leased.late if shard not in leased.own]
            own, late_of_others = (
                [shard_queue(lane, shard) for shard in shards] for shards in (leased.own, late)
            )
            order.append(([lane.queue, *own], late_of_others))
        return order
