"""Arrow tables in: columns as arrays, and the request that two tables hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from risk_tasks.client.coalescing import LONG_ROWS
from risk_tasks.errors import InvalidTableError
from risk_tasks.wire.request import RequestBlock, Terms, codes_of

_RADIX = 1 << 16

# Asked for by each call: Arrow makes a type, and casts to what is there already, at some cost.
_FLOAT, _CODE, _TEXT = pa.float64(), pa.int32(), pa.string()


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Rows by the text that they hold.

    `texts` are distinct, in order of first appearance; `sizes` (texts,) how many rows each has;
    `order` (rows,) brings them together, each text's in their old order, None where they are so.
    """

    texts: pa.StringArray
    sizes: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64] | None


def as_table(source: Any, place: str) -> pa.Table:
    """Return anything that speaks Arrow as a table; raises `InvalidTableError`."""
    try:
        return source if isinstance(source, pa.Table) else pa.table(source)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise InvalidTableError(
            f"Not a table: {error}.",
            field=place,
            remedy="Give a pyarrow, polars, pandas or DuckDB table.",
        ) from error


def numbers(table: pa.Table, name: str, place: str) -> pa.DoubleArray:
    """Return a column as float64."""
    column = _column(table, name, place)
    if pa.types.is_boolean(column.type):
        raise InvalidTableError("Truths are no numbers.", field=f"{place}.{name}")
    try:
        return _one_chunk(column if column.type == _FLOAT else column.cast(_FLOAT))
    except pa.ArrowException as error:
        raise InvalidTableError(f"Not numbers: {error}.", field=f"{place}.{name}") from error


def texts(table: pa.Table, name: str, place: str) -> pa.StringArray:
    """Return a column of texts, plain or encoded by whatever made it."""
    words, indices = _encoded(_one_column(table, name, place), name, place)
    return words.take(indices)


def codes(table: pa.Table, name: str, place: str) -> tuple[pa.StringArray, npt.NDArray[np.int32]]:
    """Return the distinct texts of a column, and for each row which one it has, -1 for null."""
    words, indices = _encoded(_one_column(table, name, place), name, place)
    return _distinct(words, codes_of(indices))


def grouping(table: pa.Table, name: str, place: str) -> Grouping:
    """Return the rows of a column without nulls by their text.

    Rows that stand together are found by comparing each with the next; only one of each run is
    looked up.
    """
    column = _one_column(table, name, place)
    starts = _run_starts(column)
    if pa.types.is_dictionary(column.type):
        words, indices = _encoded(column, name, place)
        distinct, head_codes = _distinct(words, codes_of(indices)[starts])
    else:
        words, indices = _encoded(column.take(pa.array(starts)), name, place)
        distinct, head_codes = _distinct(words, codes_of(indices))
    if (head_codes < 0).any():
        raise missing(place, name, int(starts[np.argmax(head_codes < 0)]))
    lengths = np.diff(np.append(starts, len(column)))
    if np.array_equal(head_codes, np.arange(len(distinct))):
        return Grouping(distinct, lengths, None)
    appearing = pa.array(head_codes).dictionary_encode()
    ranks, words = appearing.indices.to_numpy(), distinct.take(appearing.dictionary)
    sizes = np.bincount(ranks, weights=lengths, minlength=len(words)).astype(np.int64)
    apart = len(ranks) > len(words)
    return Grouping(words, sizes, stable_order(np.repeat(ranks, lengths)) if apart else None)


def stable_order(ranks: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return what sorts `ranks` >= 0 and leaves equal ones in their order.

    By 16 bits at a time, which NumPy sorts by radix: six times as fast as by 32.
    """
    order = np.argsort((ranks % _RADIX).astype(np.uint16), kind="stable")
    if len(ranks) and ranks.max() >= _RADIX:
        high = (ranks // _RADIX).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order


def missing(place: str, name: str, row: int) -> InvalidTableError:
    return InvalidTableError(
        f"Row {row} has no {name}.", field=f"{place}.{name}", remedy="Fill it in."
    )


def _column(table: pa.Table, name: str, place: str) -> pa.ChunkedArray:
    if table.column_names.count(name) != 1:
        raise InvalidTableError(f"There is no one column {name}.", field=f"{place}.{name}")
    return table[name]


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _one_column(table: pa.Table, name: str, place: str) -> pa.Array:
    """Return a column of texts as one array: plain ones, or encoded by whatever made it."""
    column = _column(table, name, place)
    try:
        if pa.types.is_dictionary(column.type):
            return _one_chunk(column if column.num_chunks == 1 else column.unify_dictionaries())
        return _one_chunk(column if column.type == _TEXT else column.cast(_TEXT))
    except pa.ArrowException as error:
        raise _not_texts(error, name, place) from error


def _encoded(column: pa.Array, name: str, place: str) -> tuple[pa.StringArray, pa.Int32Array]:
    """Return valid texts, which may repeat, and for each row which one it has, or null."""
    try:
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        words, indices = column.dictionary, column.indices
        words = words if words.type == _TEXT else words.cast(_TEXT)
        words.validate(full=True)
        return words, indices if indices.type == _CODE else indices.cast(_CODE)
    except pa.ArrowException as error:
        raise _not_texts(error, name, place) from error


def _not_texts(error: pa.ArrowException, name: str, place: str) -> InvalidTableError:
    return InvalidTableError(f"Not texts: {error}.", field=f"{place}.{name}")


def _distinct(
    words: pa.StringArray, ranks: npt.NDArray[np.int32]
) -> tuple[pa.StringArray, npt.NDArray[np.int32]]:
    """Return distinct texts, and for each row which one it has, -1 for null."""
    distinct = words.dictionary_encode()
    if len(distinct.dictionary) < len(distinct) or distinct.null_count:
        ranks = np.append(codes_of(distinct.indices), np.int32(-1))[ranks]
    return distinct.dictionary, ranks


def _run_starts(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return the rows that differ from the row before them; the first does, and every null."""
    compared = column.indices if pa.types.is_dictionary(column.type) else column
    if pa.types.is_integer(compared.type) and not compared.null_count:
        ranks = compared.to_numpy()
        changes = ranks[1:] != ranks[:-1]
    else:
        unequal = pc.not_equal(compared[1:], compared[:-1]).fill_null(True)
        changes = unequal.to_numpy(zero_copy_only=False)
    first = np.zeros(min(1, len(column)), dtype=np.int64)
    return np.append(first, np.flatnonzero(changes) + 1)


_KNOWN = ("portfolio_id", "cash", "nav", "limit_set")


def read_tables(
    positions: Any, portfolios: Any | None, terms: Terms
) -> tuple[RequestBlock, pa.StringArray]:
    """Return the request in two tables, and the limit set that each portfolio names, or null.

    Portfolios stand in order of first appearance among the positions, then those that only
    `portfolios` names. Raises `InvalidTableError` naming column and row.
    """
    table = as_table(positions, "positions")
    groups, (names, instrument) = _texts_of(table)
    quantity = numbers(table, "quantity", "positions")
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
        groups = grouping(table, "portfolio_id", "positions")
        return groups, codes(table, "instrument", "positions")
    with ThreadPoolExecutor(1) as other:
        # Arrow reads them without the GIL. In a shorter table the thread costs more than it saves.
        reading = other.submit(codes, table, "instrument", "positions")
        groups = grouping(table, "portfolio_id", "positions")
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
        self._table = as_table(portfolios, "portfolios")
        own = texts(self._table, "portfolio_id", "portfolios")
        if own.null_count:
            raise missing(
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
        return numbers(self._table, name, "portfolios").take(self._places)

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
        return texts(self._table, name, "portfolios").take(self._places)

    def _says(self, name: str) -> bool:
        return name in self._table.column_names and len(self._table) > 0
