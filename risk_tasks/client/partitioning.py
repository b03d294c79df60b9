"""Cutting a request into blocks: by limit set, by shard and by cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from math import ceil
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.broker.blocks import IfMissing, StampRequest
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.report import Breach
from risk_tasks.queues import SHARDED_LANES, Lane
from risk_tasks.sharding import shard_of, shards_of
from risk_tasks.store.shards import ShardStore
from risk_tasks.wire.answer import AnswerBlock, AnswerHead, BreachColumn, breach_column
from risk_tasks.wire.request import Detail, RequestBlock, Terms


@dataclass(frozen=True, slots=True)
class BlockBounds:
    """How large a block may grow; a single larger portfolio is a block of its own."""

    max_checks: int
    max_positions: int


#: whatever a check costs: so that a block stays a few megabytes
LARGEST = BlockBounds(max_checks=12_500, max_positions=250_000)


def cut(request: RequestBlock, bounds: BlockBounds) -> Iterator[RequestBlock]:
    """Yield `request` in consecutive blocks within `bounds`."""
    start = 0
    while start < len(request):
        reach = request.offsets[start] + bounds.max_positions
        stop = int(np.searchsorted(request.offsets, reach, side="right")) - 1
        stop = min(max(stop, start + 1), start + bounds.max_checks, len(request))
        yield _slice(request, start, stop)
        start = stop


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


#: a request, and the limits that all of it is held against
Part = tuple[RequestBlock, StampRequest]


def by_limit_set(
    request: RequestBlock, limit_sets: pa.StringArray, stamp: StampRequest
) -> tuple[Sequence[Part], npt.NDArray[np.int64]]:
    """Return a part for each limit set, and where each portfolio stands among the parts.

    A portfolio that names its own is held against that alone, whatever the call says.
    """
    if limit_sets.null_count == len(limit_sets):
        return [(request, stamp)], np.arange(len(request))
    named = limit_sets.dictionary_encode()
    codes = named.indices.fill_null(-1).to_numpy()
    groups = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    parts: list[Part] = []
    for rows in groups:
        part, name = select(request, rows), limit_sets[rows[0]].as_py()
        if name is None:
            parts.append((part, stamp))
        else:
            own = replace(part, terms=replace(part.terms, limits=None))
            parts.append((own, StampRequest(stamp.market, name, IfMissing.ANSWER)))
    return parts, np.argsort(np.concatenate(groups), kind="stable")


def select(request: RequestBlock, rows: npt.NDArray[np.int64]) -> RequestBlock:
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


#: a block holds a worker for no longer than about this: a shorter one is not worth its message
BLOCK_US = 30_000
#: in a smaller block the time goes to what is done once, not to its positions
_TELLING = 1_000
_MAX_REMEMBERED = 256
#: of the check whose cost stands in the registry: 20 positions
_REGISTRY_WEIGHT = 21
#: what telling the room of one position costs, where nothing is known yet
_ROOM_US = 60.0


class Pace:
    """Learns from the times in the answers; begins with the costs in the registry of measures.

    Safe to share between threads: a lost update costs a few milliseconds.
    """

    def __init__(self) -> None:
        self._us_per_position: dict[Hashable, float] = {}

    def bounds(self, request: RequestBlock) -> BlockBounds:
        """Return bounds that cut `request` into blocks of equal cost, up to `BLOCK_US` each."""
        n_positions = int(request.offsets[-1])
        cost_us = _weight(request) * self._expect(request.terms)
        n_blocks = ceil(cost_us / BLOCK_US)
        if n_blocks <= 1:
            return LARGEST
        largest = int(np.diff(request.offsets).max())
        return BlockBounds(
            min(LARGEST.max_checks, ceil(len(request) / n_blocks) + 1),
            min(LARGEST.max_positions, ceil(n_positions / n_blocks) + largest),
        )

    def learn(self, request: RequestBlock, answers: Sequence[AnswerBlock]) -> None:
        """Take note of what the blocks of `request` cost, where they are large enough to tell."""
        spent_us = [answer.head.timings.get("compute_ms", 0.0) * 1e3 for answer in answers]
        n = _weight(request) / max(1, len(answers))
        if len(self._us_per_position) > _MAX_REMEMBERED:
            self._us_per_position.clear()
        if not answers or n <= 0:
            return
        kind, us = _kind(request.terms), statistics.median(spent_us) / n
        # A smaller block tells too much, never too little: were it not heard, a cost that was far
        # too high would make blocks too small to tell otherwise, for ever.
        if n >= _TELLING or us < self._us_per_position.get(kind, 0.0):
            self._us_per_position[kind] = us

    def _expect(self, terms: Terms) -> float:
        expected, is_looked_up = _registered(terms.measures, terms.settings.n_paths)
        if terms.detail is Detail.EXPLAINED:
            expected += _ROOM_US
        known = self._us_per_position.get(_kind(terms), expected)
        # What was looked up last time may have to be computed the next.
        return max(known, expected) if is_looked_up else known


@lru_cache(maxsize=256)
def _registered(measures: tuple[MeasureName, ...], n_paths: int) -> tuple[float, bool]:
    """Return what a position costs in us by the registry, and whether anything is looked up."""
    # Measures of the past share their pass over it: the dearest stands for all.
    dearest = max((one.definition.cost_of(n_paths) for one in measures), default=0.0)
    is_looked_up = any(one.definition.is_looked_up(n_paths) for one in measures)
    return dearest / _REGISTRY_WEIGHT, is_looked_up


def _weight(request: RequestBlock) -> int:
    """A portfolio without positions is work too."""
    return int(request.offsets[-1]) + len(request)


def _kind(terms: Terms) -> Hashable:
    return terms.measures, terms.detail, terms.settings.n_paths


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
        self._views: dict[Lane, tuple[float, Owners]] = {}

    def told(self, n_shards: int) -> None:
        """Take note of how many shards the server says there are."""
        if n_shards != self._n_shards:
            self._n_shards = n_shards
            self._views = {}

    def owners(self, lane: Lane) -> Owners | None:
        """Return who leases the shards of `lane`; None where it is not cut."""
        if self._n_shards == 1 or lane not in SHARDED_LANES:
            return None
        now, view = self._clock(), self._views.get(lane)
        if view is None or now - view[0] > _VIEW_S:
            view = now, Owners.of(self._store.leases(lane), self._n_shards)
            self._views[lane] = view
        return view[1]


Cell = TypeVar("Cell")


def rearranged(answers: Sequence[AnswerBlock], order: npt.NDArray[np.int64]) -> AnswerBlock:
    """Return one block with the rows of all `answers`, at place i the one at `order[i]`.

    They are of one request under the same versions. `order` (P,) holds each place once.
    """
    starts = list(accumulate((len(answer) for answer in answers), initial=0))
    place = np.argsort(order)

    def cells(of_each: Sequence[Mapping[int, Cell]]) -> dict[int, Cell]:
        return {
            int(place[start + row]): cell
            for start, rows in zip(starts, of_each, strict=False)
            for row, cell in rows.items()
        }

    def texts(of_each: Sequence[Sequence[str]]) -> Sequence[str]:
        found = [one for each in of_each for one in each]
        return [found[row] for row in order] if len(found) == len(order) else ()

    return AnswerBlock(
        head=_head([answer.head for answer in answers]),
        decisions=np.concatenate([answer.decisions for answer in answers])[order],
        breach_counts=np.concatenate([answer.breach_counts for answer in answers])[order],
        columns={
            name: MeasureColumn(
                np.concatenate([answer.columns[name].values for answer in answers])[order],
                np.concatenate([answer.columns[name].outcomes for answer in answers])[order],
            )
            for name in answers[0].columns
        },
        errors=cells([answer.errors for answer in answers]),
        breaches=_breaches(answers, order),
        gaps=cells([answer.gaps for answer in answers]),
        portfolio_ids=texts([answer.portfolio_ids for answer in answers]),
        input_hashes=texts([answer.input_hashes for answer in answers]),
        explanations=cells([answer.explanations for answer in answers]),
    )


def _head(heads: Sequence[AnswerHead]) -> AnswerHead:
    """Return what all say, with the longest times: a caller waited for the last of them."""
    names = dict.fromkeys(name for head in heads for name in head.timings)
    longest = {name: max(head.timings.get(name, 0.0) for head in heads) for name in names}
    return msgspec.structs.replace(heads[0], timings=longest)


def _breaches(
    answers: Sequence[AnswerBlock], order: npt.NDArray[np.int64]
) -> Mapping[int, Sequence[Breach]]:
    columns = [breach_column(answer) for answer in answers]
    if all(column.null_count == len(column) for column in columns):
        return {}
    return BreachColumn(pa.concat_arrays(columns).take(pa.array(order)))


@dataclass(frozen=True, slots=True, eq=False)
class PlacedPart:
    """The blocks of one part, and the shard of each; None: any worker of the lane.

    `order` (P,): where each row of the part stands among the blocks; None where in its own order.
    """

    stamp: StampRequest
    blocks: Sequence[RequestBlock]
    shards: Sequence[int | None]
    order: npt.NDArray[np.int64] | None = None

    def restore(self, answers: Sequence[AnswerBlock]) -> Sequence[AnswerBlock]:
        """Return the answers of the blocks in the order of the part."""
        return answers if self.order is None else [rearranged(answers, self.order)]


def place(part: Part, pace: Pace, owners: Owners | None, *, in_order: bool) -> PlacedPart:
    """Cut a part by cost; where workers remember what is asked, also by who owns the portfolios.

    One that is to stay `in_order` is not cut by owner.
    """
    request, stamp = part
    bounds = pace.bounds(request)
    if owners is None:
        blocks = list(cut(request, bounds))
        return PlacedPart(stamp, blocks, [None] * len(blocks))
    alone = in_order or bounds is LARGEST or owners.n_owners == 1
    if alone or not is_remembered(request.terms):
        blocks = list(cut(request, bounds))
        return PlacedPart(stamp, blocks, owners.shards_for(blocks))
    rows = owners.rows_by_owner(request)
    pieces = [select(request, one) for one in rows]
    blocks = [block for piece in pieces for block in cut(piece, pace.bounds(piece))]
    shards = [owners.shard_of_first(block) for block in blocks]
    return PlacedPart(stamp, blocks, shards, np.argsort(np.concatenate(rows)))
