"""Tables of positions in, tables of answers out, by Arrow and NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

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
    table = _table(positions, "positions")
    ids, codes = _encoded(table, "portfolio_id", "positions")
    if (codes < 0).any():
        raise _null("positions", "portfolio_id", int(np.argmax(codes < 0)))
    names, instrument = _encoded(table, "instrument", "positions")
    quantity = _numbers(table, "quantity", "positions")
    ids, codes = _by_appearance(ids, codes)
    about = _About(portfolios, ids)
    order = np.argsort(codes, kind="stable") if (np.diff(codes) < 0).any() else slice(None)
    sizes = np.bincount(codes, minlength=len(about.ids))
    request = RequestBlock(
        terms=terms,
        portfolio_ids=about.ids,
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        instrument=instrument[order].astype(np.int32),
        instrument_names=names.to_pylist(),
        quantity=quantity.fill_null(float("nan")).to_numpy()[order],
        cash=about.numbers("cash"),
        nav=about.numbers("nav"),
        tags=about.tags(),
    )
    return request, about.limit_sets()


class _About:
    """What the optional table of portfolios says of each portfolio."""

    def __init__(self, portfolios: Any | None, ids: pa.StringArray) -> None:
        empty = pa.table({"portfolio_id": pa.array([], pa.string())})
        self._table = empty if portfolios is None else _table(portfolios, "portfolios")
        own = _texts(self._table, "portfolio_id", "portfolios")
        if own.null_count:
            raise _null("portfolios", "portfolio_id", int(np.argmax(own.is_null().to_numpy(False))))
        if len(own.unique()) != len(own):
            raise InvalidTableError(
                "A portfolio stands twice.",
                field="portfolios.portfolio_id",
                remedy="Give each portfolio one row.",
            )
        only_here = own.filter(pc.invert(pc.is_in(own, value_set=ids)))
        self.ids = pa.concat_arrays([ids, only_here])
        self._places = pc.index_in(self.ids, value_set=own)

    def numbers(self, name: str) -> pa.DoubleArray:
        if name not in self._table.column_names:
            return pa.nulls(len(self.ids), pa.float64())
        return _numbers(self._table, name, "portfolios").take(self._places)

    def limit_sets(self) -> pa.StringArray:
        names = self._texts("limit_set")
        if pc.any(pc.equal(names, "")).as_py():
            raise InvalidTableError(
                "An empty text names no limit set.",
                field="portfolios.limit_set",
                remedy="Name one, or leave the cell null for the limits of the call.",
            )
        return names

    def tags(self) -> Sequence[Mapping[str, str]]:
        names = [name for name in dict.fromkeys(self._table.column_names) if name not in _KNOWN]
        if not names:
            return [{}] * len(self.ids)
        columns = [self._texts(name).to_pylist() for name in names]
        return [
            {name: value for name, value in zip(names, row, strict=True) if value is not None}
            for row in zip(*columns, strict=True)
        ]

    def _texts(self, name: str) -> pa.StringArray:
        if name not in self._table.column_names:
            return pa.nulls(len(self.ids), pa.string())
        return _texts(self._table, name, "portfolios").take(self._places)


def _table(source: Any, place: str) -> pa.Table:
    try:
        return source if isinstance(source, pa.Table) else pa.table(source)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise InvalidTableError(
            f"Not a table: {error}.",
            field=place,
            remedy="Give a pyarrow, polars, pandas or DuckDB table.",
        ) from error


def _column(table: pa.Table, name: str, place: str) -> pa.ChunkedArray:
    if table.column_names.count(name) != 1:
        raise InvalidTableError(f"There is no one column {name}.", field=f"{place}.{name}")
    return table[name]


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _numbers(table: pa.Table, name: str, place: str) -> pa.DoubleArray:
    column = _column(table, name, place)
    if pa.types.is_boolean(column.type):
        raise InvalidTableError("Truths are no numbers.", field=f"{place}.{name}")
    try:
        return _one_chunk(column.cast(pa.float64()))
    except pa.ArrowException as error:
        raise InvalidTableError(f"Not numbers: {error}.", field=f"{place}.{name}") from error


def _encoded(
    table: pa.Table, name: str, place: str
) -> tuple[pa.StringArray, npt.NDArray[np.int64]]:
    """Return the distinct texts of a column, and for each row which one it has, -1 for null."""
    encoded = _dictionary(table, name, place)
    texts = encoded.dictionary
    codes = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy()
    distinct = texts.dictionary_encode()
    remap = np.append(distinct.indices.cast(pa.int64()).fill_null(-1).to_numpy(), -1)
    return distinct.dictionary, remap[codes]


def _texts(table: pa.Table, name: str, place: str) -> pa.StringArray:
    encoded = _dictionary(table, name, place)
    return encoded.dictionary.take(encoded.indices)


def _dictionary(table: pa.Table, name: str, place: str) -> pa.DictionaryArray:
    """Return a column of texts, plain or encoded by whatever made it, as one encoded array."""
    column = _column(table, name, place)
    try:
        if not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        encoded = _one_chunk(column.unify_dictionaries())
        texts = encoded.dictionary.cast(pa.string())
        texts.validate(full=True)
        return pa.DictionaryArray.from_arrays(encoded.indices.cast(pa.int64()), texts)
    except pa.ArrowException as error:
        raise InvalidTableError(f"Not texts: {error}.", field=f"{place}.{name}") from error


def _by_appearance(
    ids: pa.StringArray, codes: npt.NDArray[np.int64]
) -> tuple[pa.StringArray, npt.NDArray[np.int64]]:
    """Return only the ids that appear, in the order in which they first do."""
    present, first = np.unique(codes, return_index=True)
    order = np.argsort(first, kind="stable")
    rank = np.zeros(len(ids), dtype=np.int64)
    rank[present[order]] = np.arange(len(present))
    return ids.take(pa.array(present[order])), rank[codes]


def _null(place: str, name: str, row: int) -> InvalidTableError:
    return InvalidTableError(
        f"Row {row} has no {name}.", field=f"{place}.{name}", remedy="Fill it in."
    )
