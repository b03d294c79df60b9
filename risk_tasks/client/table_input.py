"""Table input: any Arrow table becomes columns, and two of them become one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from risk_tasks.errors import InvalidTableError
from risk_tasks.wire.request import RequestBlock, Terms, codes_of

#: from this number of positions, work is faster in parallel threads; below, it is slower
LONG_ROWS = 100_000

_RADIX = 1 << 16
_KNOWN = ("portfolio_id", "cash", "nav", "limit_set")

# Made once: Arrow takes time to make a type, and to cast a column to the type that it has.
_FLOAT, _CODE, _TEXT = pa.float64(), pa.int32(), pa.string()


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """The rows of a column of texts, grouped by text.

    `texts` are distinct, in order of first appearance; `sizes` (texts,) is the number of rows of
    each; `order` (rows,) sorts the rows by text and keeps those of a text in order, None if they
    are sorted already.
    """

    texts: pa.StringArray
    sizes: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64] | None


def as_table(source: Any, table_name: str) -> pa.Table:
    """Return any object with the Arrow interface as a table; raises `InvalidTableError`."""
    try:
        return source if isinstance(source, pa.Table) else pa.table(source)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise InvalidTableError(
            f"Not an Arrow table: {error}.",
            field=table_name,
            remedy="Give a pyarrow, polars, pandas or DuckDB table.",
        ) from error


def numbers(table: pa.Table, name: str, table_name: str) -> pa.DoubleArray:
    """Return a column as float64."""
    column = _column(table, name, table_name)
    if pa.types.is_boolean(column.type):
        raise InvalidTableError(
            "The column holds booleans, not numbers.", field=f"{table_name}.{name}"
        )
    try:
        return _one_chunk(column if column.type == _FLOAT else column.cast(_FLOAT))
    except pa.ArrowException as error:
        raise InvalidTableError(
            f"The column does not hold numbers: {error}.", field=f"{table_name}.{name}"
        ) from error


def texts(table: pa.Table, name: str, table_name: str) -> pa.StringArray:
    """Return a column of texts, plain or dictionary-encoded."""
    words, indices = _encoded(_one_column(table, name, table_name), name, table_name)
    return words.take(indices)


def codes(
    table: pa.Table, name: str, table_name: str
) -> tuple[pa.StringArray, npt.NDArray[np.int32]]:
    """Return the distinct texts of a column, and the code of each row among them, -1 for null."""
    words, indices = _encoded(_one_column(table, name, table_name), name, table_name)
    return _distinct(words, codes_of(indices))


def grouping(table: pa.Table, name: str, table_name: str) -> Grouping:
    """Group the rows of a column without nulls by text.

    Each row is compared with the next; only one row of each run of equal texts is looked up.
    """
    column = _one_column(table, name, table_name)
    starts = _run_starts(column)
    if pa.types.is_dictionary(column.type):
        words, indices = _encoded(column, name, table_name)
        distinct, head_codes = _distinct(words, codes_of(indices)[starts])
    else:
        words, indices = _encoded(column.take(pa.array(starts)), name, table_name)
        distinct, head_codes = _distinct(words, codes_of(indices))
    if (head_codes < 0).any():
        raise _missing(table_name, name, int(starts[np.argmax(head_codes < 0)]))
    lengths = np.diff(np.append(starts, len(column)))
    if np.array_equal(head_codes, np.arange(len(distinct))):
        return Grouping(distinct, lengths, None)
    appearing = pa.array(head_codes).dictionary_encode()
    ranks, words = appearing.indices.to_numpy(), distinct.take(appearing.dictionary)
    sizes = np.bincount(ranks, weights=lengths, minlength=len(words)).astype(np.int64)
    is_unsorted = len(ranks) > len(words)
    return Grouping(words, sizes, stable_order(np.repeat(ranks, lengths)) if is_unsorted else None)


def stable_order(ranks: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return the stable order of `ranks` >= 0.

    NumPy sorts 16 bits by radix, twice here, which is six times as fast as one sort of 32 bits.
    """
    order = np.argsort((ranks % _RADIX).astype(np.uint16), kind="stable")
    if len(ranks) and ranks.max() >= _RADIX:
        high = (ranks // _RADIX).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order


def _missing(table_name: str, name: str, row: int) -> InvalidTableError:
    return InvalidTableError(
        f"Row {row} has no {name}.", field=f"{table_name}.{name}", remedy="Fill it in."
    )


def _column(table: pa.Table, name: str, table_name: str) -> pa.ChunkedArray:
    if table.column_names.count(name) != 1:
        raise InvalidTableError(
            f"Expected one column {name}, found {table.column_names.count(name)}.",
            field=f"{table_name}.{name}",
        )
    return table[name]


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _one_column(table: pa.Table, name: str, table_name: str) -> pa.Array:
    """Return a column of texts, plain or dictionary-encoded, as one array."""
    column = _column(table, name, table_name)
    try:
        if pa.types.is_dictionary(column.type):
            return _one_chunk(column if column.num_chunks == 1 else column.unify_dictionaries())
        return _one_chunk(column if column.type == _TEXT else column.cast(_TEXT))
    except pa.ArrowException as error:
        raise _not_texts(error, name, table_name) from error


def _encoded(column: pa.Array, name: str, table_name: str) -> tuple[pa.StringArray, pa.Int32Array]:
    """Return valid texts, which may repeat, and the index of each row among them, or null."""
    try:
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        words, indices = column.dictionary, column.indices
        words = words if words.type == _TEXT else words.cast(_TEXT)
        words.validate(full=True)
        return words, indices if indices.type == _CODE else indices.cast(_CODE)
    except pa.ArrowException as error:
        raise _not_texts(error, name, table_name) from error


def _not_texts(error: pa.ArrowException, name: str, table_name: str) -> InvalidTableError:
    return InvalidTableError(
        f"The column does not hold texts: {error}.", field=f"{table_name}.{name}"
    )


def _distinct(
    words: pa.StringArray, ranks: npt.NDArray[np.int32]
) -> tuple[pa.StringArray, npt.NDArray[np.int32]]:
    """Return the distinct `words`, and the code of each row among them, -1 for null."""
    distinct = words.dictionary_encode()
    if len(distinct.dictionary) < len(distinct) or distinct.null_count:
        ranks = np.append(codes_of(distinct.indices), np.int32(-1))[ranks]
    return distinct.dictionary, ranks


def _run_starts(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return the rows that differ from the row before, with the first row and every null."""
    compared = column.indices if pa.types.is_dictionary(column.type) else column
    if pa.types.is_integer(compared.type) and not compared.null_count:
        ranks = compared.to_numpy()
        changes = ranks[1:] != ranks[:-1]
    else:
        unequal = pc.not_equal(compared[1:], compared[:-1]).fill_null(True)
        changes = unequal.to_numpy(zero_copy_only=False)
    first = np.zeros(min(1, len(column)), dtype=np.int64)
    return np.append(first, np.flatnonzero(changes) + 1)


def read_tables(
    positions: Any, portfolios: Any | None, terms: Terms
) -> tuple[RequestBlock, pa.StringArray | None]:
    """Return the request in two tables, and the limit set of each portfolio.

    Portfolios are in order of first appearance among the positions, followed by those that only
    `portfolios` names. The limit set of a portfolio is null for that of the call; None stands for
    nulls only. Raises `InvalidTableError` naming column and row.
    """
    table = as_table(positions, "positions")
    groups, (names, instrument) = _text_columns(table)
    quantity = numbers(table, "quantity", "positions")
    if quantity.null_count:
        quantity = quantity.fill_null(float("nan"))
    about = _PortfolioTable(portfolios, groups.texts)
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


def _text_columns(table: pa.Table) -> tuple[Grouping, tuple[pa.StringArray, npt.NDArray[np.int32]]]:
    """Return the two columns of texts, which take nearly all of the time of reading."""
    if len(table) < LONG_ROWS:
        groups = grouping(table, "portfolio_id", "positions")
        return groups, codes(table, "instrument", "positions")
    with ThreadPoolExecutor(1) as other:
        # Arrow reads without the GIL. For a shorter table the thread costs more than it saves.
        reading = other.submit(codes, table, "instrument", "positions")
        groups = grouping(table, "portfolio_id", "positions")
        return groups, reading.result()


class _PortfolioTable:
    """The table of portfolios, if there is one: a cell for each of `ids`, or null."""

    def __init__(self, portfolios: Any | None, ids: pa.StringArray) -> None:
        self.ids = ids
        self._table = None if portfolios is None else as_table(portfolios, "portfolios")
        if self._table is None:
            return
        own = texts(self._table, "portfolio_id", "portfolios")
        if own.null_count:
            row = int(np.argmax(own.is_null().to_numpy(False)))
            raise _missing("portfolios", "portfolio_id", row)
        if len(own.unique()) != len(own):
            words, counts = own.value_counts().flatten()
            repeated = words.filter(pc.greater(counts, 1))[0].as_py()
            raise InvalidTableError(
                f"Portfolio {repeated!r:.80} has several rows: expected one.",
                field="portfolios.portfolio_id",
                remedy="Give each portfolio one row.",
            )
        if len(own):
            only_here = own.filter(pc.invert(pc.is_in(own, value_set=ids)))
            self.ids = pa.concat_arrays([ids, only_here])
            self._places = pc.index_in(self.ids, value_set=own)

    def numbers(self, name: str) -> pa.DoubleArray:
        if not self._has(name):
            return pa.nulls(len(self.ids), _FLOAT)
        return numbers(self._table, name, "portfolios").take(self._places)

    def limit_sets(self) -> pa.StringArray | None:
        names = self._texts("limit_set")
        if names.null_count == len(names):
            return None
        if pc.any(pc.equal(names, "")).as_py():
            raise InvalidTableError(
                "An empty text is not the name of a limit set.",
                field="portfolios.limit_set",
                remedy="Name one, or leave the cell null for the limits of the call.",
            )
        return names

    def tags(self) -> Sequence[Mapping[str, str]]:
        columns = () if self._table is None else dict.fromkeys(self._table.column_names)
        names = [name for name in columns if name not in _KNOWN]
        if not names:
            return ()
        cells = [self._texts(name).to_pylist() for name in names]
        return [
            {name: value for name, value in zip(names, row, strict=True) if value is not None}
            for row in zip(*cells, strict=True)
        ]

    def _texts(self, name: str) -> pa.StringArray:
        if not self._has(name):
            return pa.nulls(len(self.ids), _TEXT)
        return texts(self._table, name, "portfolios").take(self._places)

    def _has(self, name: str) -> bool:
        table = self._table
        return table is not None and name in table.column_names and len(table) > 0
