"""Which shards the blocks of a call go to, so that a portfolio meets the same worker's memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.lanes import Priority
from risk_tasks.sharding.portfolios import shard_of, shards_of
from risk_tasks.sharding.queues import SHARDED_LANES
from risk_tasks.store.shards import ShardStore
from risk_tasks.wire.request import RequestBlock, Terms

#: how old the leases may be that blocks are sent by
_VIEW_S = 1.0


def is_remembered(terms: Terms) -> bool:
    """Whether a worker remembers any of what is asked; of the rest all workers do as well."""
    n_paths = terms.settings.n_paths
    return any(one.definition.is_looked_up(n_paths) for one in terms.measures)


@dataclass(frozen=True, slots=True, eq=False)
class Owners:
    """Who leases the shards of a lane: `owner` (S,) int64, places of workers, by shard."""

    owner: npt.NDArray[np.int64]

    @classmethod
    def of(cls, leases: Mapping[int, str], n_shards: int) -> Owners:
        """Read the leases; all shards that nobody leases count as one owner's."""
        names = [leases.get(shard, "") for shard in range(n_shards)]
        return cls(np.unique(names, return_inverse=True)[1])

    @property
    def n_shards(self) -> int:
        return len(self.owner)

    @property
    def n_owners(self) -> int:
        return int(self.owner.max()) + 1

    def rows_by_owner(self, request: RequestBlock) -> list[npt.NDArray[np.int64]]:
        """Return the rows of each owner that has any, in their order."""
        owner = self.owner[self._shards(request)]
        return [np.flatnonzero(owner == one) for one in np.unique(owner)]

    def shards_for(self, blocks: Sequence[RequestBlock]) -> list[int]:
        """Return a shard for each of the blocks that a request was cut into, in its order.

        One goes to whoever has most of its portfolios; several to the owners in turn.
        """
        if not blocks:
            return []
        if len(blocks) == 1:
            return [self._usual(blocks[0])]
        first = self.owner[self.shard_of_first(blocks[0])]
        turns = [np.flatnonzero(self.owner == one) for one in range(self.n_owners)]
        return [
            int(shards[place // self.n_owners % len(shards)])
            for place in range(len(blocks))
            for shards in [turns[(first + place) % self.n_owners]]
        ]

    def shard_of_first(self, block: RequestBlock) -> int:
        return shard_of(block.portfolio_ids[0].as_py() or "", self.n_shards)

    def _usual(self, block: RequestBlock) -> int:
        if len(block) == 1 or not is_remembered(block.terms):
            return self.shard_of_first(block)
        shards = self._shards(block)
        owner = self.owner[shards]
        return int(shards[np.argmax(owner == np.bincount(owner).argmax())])

    def _shards(self, request: RequestBlock) -> npt.NDArray[np.int64]:
        ids = request.portfolio_ids.fill_null("").cast(pa.binary()).to_pylist()
        return shards_of(ids, self.n_shards)


class Routing:
    """What a client knows of the leases: nothing until it is told that the lanes are cut.

    Safe to share between threads. An old view sends a block to another worker's shard, which costs
    that worker a look into the shared cache, and nothing else.
    """

    def __init__(self, store: ShardStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._n_shards = 1
        self._views: dict[Priority, tuple[float, Owners]] = {}

    def told(self, n_shards: int) -> None:
        """Take note of how many shards the server says there are."""
        if n_shards != self._n_shards:
            self._n_shards = n_shards
            self._views = {}

    def owners(self, lane: Priority) -> Owners | None:
        """Return who leases the shards of `lane`; None where it is not cut."""
        if self._n_shards == 1 or lane not in SHARDED_LANES:
            return None
        now, view = self._clock(), self._views.get(lane)
        if view is None or now - view[0] > _VIEW_S:
            view = now, Owners.of(self._store.leases(lane), self._n_shards)
            self._views[lane] = view
        return view[1]
