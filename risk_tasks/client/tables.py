"""Tables of positions in, tables of answers out, by Arrow and NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from risk_tasks.client import columns
from risk_tasks.client.columns import Grouping
from risk_tasks.client.turns import LONG_ROWS
from risk_tasks.errors import InvalidTableError
from risk_tasks.wire.request import RequestBlock, Terms

_KNOWN = ("portfolio_id", "cash", "nav", "limit_set")


def read_tables(
    positions: Any, portfolios: Any | None, terms: Terms
) -> tuple[RequestBlock, pa.StringArray]:
    """Return the request in two tables, and the limit set that each portfolio names, or null.

    Portfolios stand in order of first appearance among the positions, then those that only
    `portfolios` names. Raises `InvalidTableError` naming column and row.
    """
    table = columns.as_table(positions, "positions")
    groups, (names, instrument) = _texts_of(table)
    quantity = columns.numbers(table, "quantity", "positions")
    if quantity.null_count:
        quantity = quantity.fill_null(float("nan"))
    about = _Nothing(groups.texts) if portfolios is None else _About(portfolios, groups.texts)
    sizes = np.zeros(len(about.ids) + 1, dtype=np.int64)
    sizes[1 : len(groups.sizes) + 1] = groups.sizes
    order = slice(None) if groups.order is None else groups.order
    request = RequestBlock(
        terms=terms,
        portfolio_ids=about.ids,
        offsets=np.cumsum(sizes),
        instrument=instrument[order],
        instrument_names=names.to_pylist(),
        quantity=quantity.to_numpy()[order],
        cash=about.numbers("cash"),
        nav=about.numbers("nav"),
        tags=about.tags(),
    )
    return request, about.limit_sets()


def _texts_of(table: pa.Table) -> tuple[Grouping, tuple[pa.StringArray, npt.NDArray[np.int32]]]:
    """Return the two columns of texts, which take nearly all of the time of reading."""
    if len(table) < LONG_ROWS:
        groups = columns.grouping(table, "portfolio_id", "positions")
        return groups, columns.codes(table, "instrument", "positions")
    with ThreadPoolExecutor(1) as other:
        # Arrow reads them without the GIL. In a shorter table the thread costs more than it saves.
        reading = other.submit(columns.codes, table, "instrument", "positions")
        groups = columns.grouping(table, "portfolio_id", "positions")
        return groups, reading.result()


class _Nothing:
    """What is known of portfolios that no table says anything of."""

    def __init__(self, ids: pa.StringArray) -> None:
        self.ids = ids

    def numbers(self, _: str) -> pa.DoubleArray:
        return pa.nulls(len(self.ids), pa.float64())

    def limit_sets(self) -> pa.StringArray:
        return pa.nulls(len(self.ids), pa.string())

    def tags(self) -> Sequence[Mapping[str, str]]:
        return ()


class _About:
    """What the table of portfolios says of each portfolio."""

    def __init__(self, portfolios: Any, ids: pa.StringArray) -> None:
        self._table = columns.as_table(portfolios, "portfolios")
        own = columns.texts(self._table, "portfolio_id", "portfolios")
        if own.null_count:
            raise columns.missing(
                "portfolios",
                "portfolio_id",
                int(np.argmax(own.is_null().to_numpy(False))),
            )
        if len(own.unique()) != len(own):
            raise InvalidTableError(
                "A portfolio stands twice.",
                field="portfolios.portfolio_id",
                remedy="Give each portfolio one row.",
            )
        self.ids = ids
        if len(own):
            only_here = own.filter(pc.invert(pc.is_in(own, value_set=ids)))
            self.ids = pa.concat_arrays([ids, only_here])
            self._places = pc.index_in(self.ids, value_set=own)

    def numbers(self, name: str) -> pa.DoubleArray:
        if not self._says(name):
            return pa.nulls(len(self.ids), pa.float64())
        return columns.numbers(self._table, name, "portfolios").take(self._places)

    def limit_sets(self) -> pa.StringArray:
        names = self._texts("limit_set")
        if names.null_count < len(names) and pc.any(pc.equal(names, "")).as_py():
            raise InvalidTableError(
                "An empty text names no limit set.",
                field="portfolios.limit_set",
                remedy="Name one, or leave the cell null for the limits of the call.",
            )
        return names

    def tags(self) -> Sequence[Mapping[str, str]]:
        names = [name for name in dict.fromkeys(self._table.column_names) if name not in _KNOWN]
        if not names:
            return ()
        cells = [self._texts(name).to_pylist() for name in names]
        return [
            {name: value for name, value in zip(names, row, strict=True) if value is not None}
            for row in zip(*cells, strict=True)
        ]

    def _texts(self, name: str) -> pa.StringArray:
        if not self._says(name):
            return pa.nulls(len(self.ids), pa.string())
        return columns.texts(self._table, name, "portfolios").take(self._places)

    def _says(self, name: str) -> bool:
        return name in self._table.column_names and len(self._table) > 0
