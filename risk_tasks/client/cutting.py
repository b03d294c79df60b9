"""Cutting a request into blocks that each hold a worker only for a short while."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.broker.blocks import IfMissing, StampRequest
from risk_tasks.wire.request import RequestBlock


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
