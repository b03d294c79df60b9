"""Requests taken apart, so that two of them can be compared row by row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.wire.request import Detail, RequestBlock, Terms

TERMS = Terms(parse_measures(None), MeasureSettings(), None, Detail.SUMMARY)


class Row(NamedTuple):
    """One portfolio of a request."""

    id: str | None
    positions: list[tuple[str | None, float]]
    cash: float | None
    nav: float | None
    tags: dict[str, str]


def rows_of(request: RequestBlock) -> list[Row]:
    """Return the portfolios of a request, row by row; NaN quantities as None."""
    assert request.offsets[0] == 0
    assert request.offsets[-1] == len(request.instrument) == len(request.quantity)
    names = [*request.instrument_names, None]
    rows = []
    for row in range(len(request)):
        held = slice(int(request.offsets[row]), int(request.offsets[row + 1]))
        pairs = zip(request.instrument[held], request.quantity[held], strict=True)
        rows.append(
            Row(
                request.portfolio_ids[row].as_py(),
                [(names[i], None if np.isnan(q) else float(q)) for i, q in pairs],
                request.cash[row].as_py(),
                request.nav[row].as_py(),
                dict(request.tags[row]) if request.tags else {},
            )
        )
    return rows


def request_of(rows: list[Row]) -> RequestBlock:
    """Return the request that holds `rows`."""
    names = sorted({name for row in rows for name, _ in row.positions})
    flat = [position for row in rows for position in row.positions]
    return RequestBlock(
        terms=TERMS,
        portfolio_ids=pa.array([row.id for row in rows], pa.string()),
        offsets=np.cumsum([0, *(len(row.positions) for row in rows)], dtype=np.int64),
        instrument=np.array([names.index(name) for name, _ in flat], dtype=np.int32),
        instrument_names=names,
        quantity=np.array([quantity for _, quantity in flat], dtype=np.float64),
        cash=pa.array([row.cash for row in rows], pa.float64()),
        nav=pa.array([row.nav for row in rows], pa.float64()),
        tags=[row.tags for row in rows],
    )


def row_of(place: int, size: int) -> Row:
    """Return a portfolio of `size` positions, in which everything tells it apart from others."""
    return Row(
        f"p{place}",
        [("ABCDEF"[(place + at) % 6], place + at / 8) for at in range(size)],
        None if place % 3 == 0 else float(place),
        None if place % 2 else -float(place),
        {"desk": f"d{place}"} if size % 2 else {},
    )


#: requests of up to a dozen portfolios of up to five positions
requests = st.lists(st.integers(0, 5), max_size=12).map(
    lambda sizes: request_of([row_of(place, size) for place, size in enumerate(sizes)])
)
