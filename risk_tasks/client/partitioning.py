"""Partitioning: one request becomes blocks, by limit set, by shard and by cost.

Blocks may hold the portfolios in another order than the request. All steps compose into one
permutation, `Partition.order`, which is applied once, to the result.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import repeat
from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.broker.blocks import IfMissing, StampRequest
from risk_tasks.model.measures import History, MeasureName
from risk_tasks.queues import SHARDED_LANES, Lane
from risk_tasks.store.shards import ShardStore, shard_of, shards_of
from risk_tasks.wire.answer import AnswerBlock
from risk_tasks.wire.request import Detail, RequestBlock, Terms

#: the target: a longer block holds its worker too long, a shorter one is not worth its message
TARGET_BLOCK_US = 30_000
#: the fixed cost of a block hides the cost of fewer positions and portfolios
_MIN_SIZE_LEARNED = 1_000
_MAX_LEARNED = 256
#: positions and portfolios of the check whose cost is in the registry of measures
_REGISTRY_SIZE = 21
#: the cost of the headroom of one position, until an answer is measured
_HEADROOM_US = 60.0
#: the cost of a position whose book has scaled returns of its own, until an answer is measured
_SCALED_US = 15.0
#: the largest age of the leases by which blocks are routed
_MAX_LEASES_AGE_S = 1.0

Rows = npt.NDArray[np.int64]


class Block(NamedTuple):
    """One message: some portfolios, their limit set, and their shard; None: any worker."""

    request: RequestBlock
    stamp: StampRequest
    shard: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """The blocks of a request.

    `order` (P,) holds for each portfolio of the request its index among those of all blocks; None
    if the blocks keep the order of the request.
    """

    blocks: Sequence[Block]
    order: Rows | None


@dataclass(frozen=True, slots=True)
class BlockBounds:
    """How large a block may be; a single larger portfolio is a block of its own."""

    max_checks: int
    max_positions: int


#: holds for the cheapest checks too, so that a block stays a few megabytes
LARGEST = BlockBounds(max_checks=12_500, max_positions=250_000)


def partition(
    request: RequestBlock,
    stamp: StampRequest,
    sizer: BlockSizer,
    owners: ShardOwners | None,
    *,
    limit_sets: pa.StringArray | None = None,
    keep_order: bool = False,
) -> Partition:
    """Cut a request into blocks of equal cost, each under one limit set.

    `limit_sets` (P,) names the limit set of each portfolio, null for that of `stamp`. A lane
    without shards has no `owners`. Portfolios whose measures are cached go to the worker that owns
    their shard, unless `keep_order` is set.
    """
    blocks: list[Block] = []
    sent: list[Rows] = []
    for part, part_stamp, rows in by_limit_set(request, stamp, limit_sets):
        bounds = sizer.bounds(part)
        if keep_order or owners is None or bounds is LARGEST or not owners.splits(part.terms):
            requests = list(cut(part, bounds))
            shards = owners.shards_for(requests) if owners else repeat(None)
            blocks += map(Block, requests, repeat(part_stamp), shards)
            sent.append(rows)
            continue
        for own in owners.rows_by_owner(part):
            piece = select(part, own)
            sent.append(rows[own])
            for one in cut(piece, sizer.bounds(piece)):
                blocks.append(Block(one, part_stamp, owners.shard_of_first(one)))
    order = np.argsort(np.concatenate(sent)) if len(sent) > 1 else None
    return Partition(blocks, order)


def by_limit_set(
    request: RequestBlock, stamp: StampRequest, limit_sets: pa.StringArray | None
) -> Iterator[tuple[RequestBlock, StampRequest, Rows]]:
    """Yield the portfolios of each limit set, and their rows in `request`.

    A portfolio that names a limit set is checked against that one only.
    """
    if limit_sets is None:
        yield request, stamp, np.arange(len(request))
        return
    codes = limit_sets.dictionary_encode().indices.fill_null(-1).to_numpy()
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        part, name = select(request, rows), limit_sets[rows[0]].as_py()
        if name is None:
            yield part, stamp, rows
        else:
            own = replace(part, terms=replace(part.terms, limits=None))
            yield own, StampRequest(stamp.market, name, IfMissing.ANSWER), rows


def cut(request: RequestBlock, bounds: BlockBounds) -> Iterator[RequestBlock]:
    """Yield `request` in consecutive blocks within `bounds`."""
    start = 0
    while start < len(request):
        reach = request.offsets[start] + bounds.max_positions
        stop = int(np.searchsorted(request.offsets, reach, side="right")) - 1
        stop = min(max(stop, start + 1), start + bounds.max_checks, len(request))
        yield _slice(request, start, stop)
        start = stop


def select(request: RequestBlock, rows: Rows) -> RequestBlock:
    """Return the portfolios at `rows`, in that order."""
    sizes = np.diff(request.offsets)[rows]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    flat = np.repeat(request.offsets[rows] - offsets[:-1], sizes) + np.arange(offsets[-1])
    return replace(
        request,
        portfolio_ids=request.portfolio_ids.take(pa.array(rows)),
        offsets=offsets,
        instrument=request.instrument[flat],
        quantity=request.quantity[flat],
        cash=request.cash.take(pa.array(rows)),
        nav=request.nav.take(pa.array(rows)),
        tags=[request.tags[row] for row in rows] if request.tags else (),
    )


def _slice(request: RequestBlock, start: int, stop: int) -> RequestBlock:
    if stop - start == len(request):
        return request
    first, last = request.offsets[start], request.offsets[stop]
    return replace(
        request,
        portfolio_ids=request.portfolio_ids[start:stop],
        offsets=request.offsets[start : stop + 1] - first,
        instrument=request.instrument[first:last],
        quantity=request.quantity[first:last],
        cash=request.cash[start:stop],
        nav=request.nav[start:stop],
        tags=request.tags[start:stop],
    )


class BlockSizer:
    """Predicts the cost of blocks: from the registry of measures, then from measured answers.

    Safe to share between threads: a lost update costs a few milliseconds.
    """

    def __init__(self) -> None:
        self._us_per_position: dict[Hashable, float] = {}

    def bounds(self, request: RequestBlock) -> BlockBounds:
        """Return bounds that cut `request` into blocks of equal cost, up to `TARGET_BLOCK_US`."""
        n_positions = int(request.offsets[-1])
        cost_us = request_size(request) * self._predict(request.terms)
        n_blocks = ceil(cost_us / TARGET_BLOCK_US)
        if n_blocks <= 1:
            return LARGEST
        largest = int(np.diff(request.offsets).max())
        return BlockBounds(
            min(LARGEST.max_checks, ceil(len(request) / n_blocks) + 1),
            min(LARGEST.max_positions, ceil(n_positions / n_blocks) + largest),
        )

    def learn(self, request: RequestBlock, answers: Sequence[AnswerBlock]) -> None:
        """Learn from the compute times of the blocks of `request`."""
        spent_us = [answer.head.timings.get("compute_ms", 0.0) * 1e3 for answer in answers]
        size = request_size(request) / max(1, len(answers))
        if len(self._us_per_position) > _MAX_LEARNED:
            self._us_per_position.clear()
        if not answers or size <= 0:
            return
        key, us = _cost_key(request.terms), statistics.median(spent_us) / size
        # A small block shows too high a cost, never too low. It may correct a cost downwards:
        # otherwise far too high a cost would make blocks too small to ever correct it.
        if size >= _MIN_SIZE_LEARNED or us < self._us_per_position.get(key, 0.0):
            self._us_per_position[key] = us

    def _predict(self, terms: Terms) -> float:
        registered, is_cached = _registered_us(terms.measures, terms.settings.n_paths)
        if terms.detail is Detail.EXPLAINED:
            registered += _HEADROOM_US
        if terms.settings.history is History.PER_INSTRUMENT:
            registered += _SCALED_US
        learned = self._us_per_position.get(_cost_key(terms), registered)
        # A result that was in the cache last time may have to be computed next time.
        return max(learned, registered) if is_cached else learned


@lru_cache(maxsize=256)
def _registered_us(measures: tuple[MeasureName, ...], n_paths: int) -> tuple[float, bool]:
    """Return the cost of a position in us by the registry, and whether any result is cached."""
    # Measures of the past share their pass over it: the most expensive one counts for all.
    largest = max((one.definition.cost_of(n_paths) for one in measures), default=0.0)
    return largest / _REGISTRY_SIZE, any(one.definition.is_looked_up(n_paths) for one in measures)


def request_size(request: RequestBlock) -> int:
    """Return the number of positions and portfolios: an empty portfolio is work too."""
    return int(request.offsets[-1]) + len(request)


def _cost_key(terms: Terms) -> Hashable:
    return terms.measures, terms.detail, terms.settings.n_paths, terms.settings.history


@dataclass(frozen=True, slots=True, eq=False)
class ShardOwners:
    """The owners of the shards of a lane: `owner` (S,) int64 numbers the workers, by shard."""

    owner: npt.NDArray[np.int64]

    @classmethod
    def of(cls, leases: Mapping[int, str], n_shards: int) -> ShardOwners:
        """Read the leases; the shards without a lease count as owned by one worker."""
        names = [leases.get(shard, "") for shard in range(n_shards)]
        return cls(np.unique(names, return_inverse=True)[1])

    @property
    def n_shards(self) -> int:
        return len(self.owner)

    @property
    def n_owners(self) -> int:
        return int(self.owner.max()) + 1

    def splits(self, terms: Terms) -> bool:
        """Whether portfolios go to their owners: only if an owner may have a result cached."""
        return self.n_owners > 1 and is_cached(terms)

    def rows_by_owner(self, request: RequestBlock) -> list[Rows]:
        """Return the rows of each owner that has any, in ascending order."""
        owner = self.owner[self._shards(request)]
        return [np.flatnonzero(owner == one) for one in np.unique(owner)]

    def shards_for(self, requests: Sequence[RequestBlock]) -> list[int]:
        """Return a shard for each block of a call.

        A single block goes to the owner of most of its portfolios, several go round robin.
        """
        if not requests:
            return []
        if len(requests) == 1:
            return [self._shard_of_most(requests[0])]
        first = self.owner[self.shard_of_first(requests[0])]
        by_owner = [np.flatnonzero(self.owner == one) for one in range(self.n_owners)]
        return [
            int(shards[number // self.n_owners % len(shards)])
            for number in range(len(requests))
            for shards in [by_owner[(first + number) % self.n_owners]]
        ]

    def shard_of_first(self, request: RequestBlock) -> int:
        return shard_of(request.portfolio_ids[0].as_py() or "", self.n_shards)

    def _shard_of_most(self, request: RequestBlock) -> int:
        if len(request) == 1 or not is_cached(request.terms):
            return self.shard_of_first(request)
        shards = self._shards(request)
        owner = self.owner[shards]
        return int(shards[np.argmax(owner == np.bincount(owner).argmax())])

    def _shards(self, request: RequestBlock) -> npt.NDArray[np.int64]:
        ids = request.portfolio_ids.fill_null("").cast(pa.binary()).to_pylist()
        return shards_of(ids, self.n_shards)


def is_cached(terms: Terms) -> bool:
    """Whether workers cache the result of any of the measures."""
    n_paths = terms.settings.n_paths
    return any(one.definition.is_looked_up(n_paths) for one in terms.measures)


class ShardRouter:
    """Reads the owners of shards, once a second while there are any.

    Safe to share between threads. By outdated leases a block goes to a worker that does not own its
    shard, which costs that worker a look-up in the shared cache.
    """

    def __init__(self, store: ShardStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._n_shards = 1
        self._cached: dict[Lane, tuple[float, ShardOwners]] = {}

    def set_n_shards(self, n_shards: int) -> None:
        """Take the number of shards that the server reports."""
        if n_shards != self._n_shards:
            self._n_shards = n_shards
            self._cached = {}

    def owners(self, lane: Lane) -> ShardOwners | None:
        """Return the owners of the shards of `lane`; None if it has no shards."""
        if self._n_shards == 1 or lane not in SHARDED_LANES:
            return None
        now, cached = self._clock(), self._cached.get(lane)
        if cached is None or now - cached[0] > _MAX_LEASES_AGE_S:
            cached = now, ShardOwners.of(self._store.leases(lane), self._n_shards)
            self._cached[lane] = cached
        return cached[1]
