"""Table input: any Arrow table becomes columns, and two of them become one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from risk_tasks.errors import InvalidTableError
from risk_tasks.model.book_columns import (
    POSITION_COLUMNS,
    BookColumnError,
    BookColumns,
    classify_columns,
)
from risk_tasks.wire.request import RequestBlock, Terms, codes_of, is_text

#: from this number of positions, work is faster in parallel threads; below, it is slower
LONG_ROWS = 100_000

_RADIX = 1 << 16
_ABOUT = ("portfolio_id",)

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


def tag_texts(table: pa.Table, name: str, table_name: str) -> pa.StringArray:
    """Return a column of texts; numbers are refused, because 1 and 1.0 would be two tags."""
    kind = table[name].type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (is_text(kind) or pa.types.is_null(kind)):
        raise InvalidTableError(
            f"The column has the type {kind}: expected text.",
            field=f"{table_name}.{name}",
            remedy="Convert the column to text, or remove it.",
        )
    return texts(table, name, table_name)


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
    positions: Any, portfolios: Any | None, terms: Terms, *, tags: Iterable[str] = ()
) -> tuple[RequestBlock, pa.StringArray | None]:
    """Return the request in two tables, and the limit set of each portfolio.

    One of the two has the cash, the nav, the limit set and the tags of portfolios; `positions`
    repeats them on all rows of a portfolio. Portfolios are in order of first appearance among the
    positions, followed by those that only `portfolios` names. The limit set of a portfolio is null
    for that of the call; None stands for nulls only. Raises `InvalidTableError` naming column and
    row.
    """
    table = as_table(positions, "positions")
    about = None if portfolios is None else as_table(portfolios, "portfolios")
    own, theirs = _classify(table, about, tags)
    groups, (names, instrument) = _text_columns(table)
    quantity = numbers(table, "quantity", "positions")
    if quantity.null_count:
        quantity = quantity.fill_null(float("nan"))
    sources: list[_Source] = []
    ids = groups.texts
    if about is not None:
        named = _PortfolioTable(about, theirs, ids)
        sources, ids = [named], named.ids
    if own.names:
        sources.append(_PositionTable(table, own, groups))
    _require_different(ids)
    attributes = _Attributes(sources, len(ids))
    sizes = np.zeros(len(ids) + 1, dtype=np.int64)
    sizes[1 : len(groups.sizes) + 1] = groups.sizes
    order = slice(None) if groups.order is None else groups.order
    request = RequestBlock(
        terms=terms,
        portfolio_ids=ids,
        offsets=np.cumsum(sizes),
        instrument=instrument[order],
        instrument_names=names.to_pylist(),
        quantity=quantity.to_numpy()[order],
        cash=attributes.numbers("cash"),
        nav=attributes.numbers("nav"),
        tags=attributes.tags(),
    )
    return request, attributes.limit_sets()


def _classify(
    table: pa.Table, about: pa.Table | None, tags: Iterable[str]
) -> tuple[BookColumns, BookColumns]:
    """Return what the columns of both tables are; raises if both give the same to a portfolio."""
    tags = frozenset([tags] if isinstance(tags, str) else tags)
    theirs = BookColumns()
    if about is not None:
        here = tags.intersection(about.column_names)
        theirs = _classified(about, "portfolios", here, _ABOUT)
        tags = tags - here
    own = _classified(table, "positions", tags, POSITION_COLUMNS)
    for role in ("cash", "nav", "limit_set"):
        if getattr(own, role) and getattr(theirs, role):
            raise _given_twice(getattr(own, role))
    for tag in set(own.tags).intersection(theirs.tags):
        raise _given_twice(tag)
    return own, theirs


def _classified(
    table: pa.Table, table_name: str, tags: Iterable[str], read: Sequence[str]
) -> BookColumns:
    try:
        return classify_columns(table.column_names, tags=tags, read=read)
    except BookColumnError as error:
        raise InvalidTableError(
            str(error), field=f"{table_name}.{error.column}", remedy=error.remedy
        ) from None


def _given_twice(name: str) -> InvalidTableError:
    return InvalidTableError(
        "Both tables have the column.",
        field=f"positions.{name}",
        remedy="Keep it in one of the two tables.",
    )


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


def _require_different(ids: pa.StringArray) -> None:
    """Raise if two ids differ only in case or spaces: they are the halves of one portfolio."""
    folded = pc.ascii_lower(pc.ascii_trim_whitespace(ids))
    # Ids in lower case are their own folded texts, and these are distinct.
    if folded.equals(ids) or len(folded.unique()) == len(ids):
        return
    words, counts = folded.value_counts().flatten()
    repeated = words.filter(pc.greater(counts, 1))[0]
    one, other, *_ = ids.filter(pc.equal(folded, repeated)).to_pylist()
    raise InvalidTableError(
        f"{other!r:.80} differs from {one!r:.80} only in case or spaces: expected one id, or two "
        "that differ in more.",
        field="positions.portfolio_id",
        remedy="Write the id of a portfolio in the same way on all rows, in both tables.",
    )


class _Source(Protocol):
    """A table that says something about portfolios."""

    columns: BookColumns
    table_name: str

    def numbers(self, name: str) -> pa.DoubleArray: ...

    def texts(self, name: str) -> pa.StringArray: ...


class _PortfolioTable:
    """The table of portfolios: a cell for each of `ids`, null for one that it does not name."""

    table_name = "portfolios"

    def __init__(self, table: pa.Table, columns: BookColumns, ids: pa.StringArray) -> None:
        self.columns = columns
        self.ids = ids
        self._table = table
        own = texts(table, "portfolio_id", "portfolios")
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
        only_here = own.filter(pc.invert(pc.is_in(own, value_set=ids)))
        self.ids = pa.concat_arrays([ids, only_here])
        self._places = pc.index_in(self.ids, value_set=own)

    def numbers(self, name: str) -> pa.DoubleArray:
        return numbers(self._table, name, "portfolios").take(self._places)

    def texts(self, name: str) -> pa.StringArray:
        return tag_texts(self._table, name, "portfolios").take(self._places)


class _PositionTable:
    """The table of positions: the cell that all rows of a portfolio have."""

    table_name = "positions"

    def __init__(self, table: pa.Table, columns: BookColumns, groups: Grouping) -> None:
        self.columns = columns
        self._table = table
        self._groups = groups
        rows = np.arange(len(table)) if groups.order is None else groups.order
        first = rows[np.cumsum(groups.sizes) - groups.sizes]
        #: the rows by portfolio, the first row of each portfolio, and that of each row
        self._rows, self._first = rows, first
        self._first_of_row = np.repeat(first, groups.sizes)

    def numbers(self, name: str) -> pa.DoubleArray:
        column = numbers(self._table, name, "positions")
        self._require_agreement(name, column.dictionary_encode())
        return column.take(pa.array(self._first))

    def texts(self, name: str) -> pa.StringArray:
        column = tag_texts(self._table, name, "positions")
        self._require_agreement(name, column.dictionary_encode())
        return column.take(pa.array(self._first))

    def _require_agreement(self, name: str, column: pa.DictionaryArray) -> None:
        ranks = codes_of(column.indices)
        differs = ranks[self._rows] != ranks[self._first_of_row]
        if not differs.any():
            return
        index = int(np.argmax(differs))
        row, first = int(self._rows[index]), int(self._first_of_row[index])
        raise InvalidTableError(
            f"Rows {first} and {row} of one portfolio differ: {column[first].as_py()!r} and "
            f"{column[row].as_py()!r}.",
            field=f"positions.{name}",
            remedy="Give the same cash, nav, limit set and tags on all rows of a portfolio.",
        )


class _Attributes:
    """Cash, nav, limit set and tags of `n` portfolios, from the tables that have them."""

    def __init__(self, sources: Sequence[_Source], n: int) -> None:
        self._sources = sources
        self._n = n

    def numbers(self, role: str) -> pa.DoubleArray:
        for source in self._sources:
            name = getattr(source.columns, role)
            if name is not None:
                return self._filled(source.numbers(name))
        return pa.nulls(self._n, _FLOAT)

    def limit_sets(self) -> pa.StringArray | None:
        for source in self._sources:
            if source.columns.limit_set is not None:
                names = source.texts(source.columns.limit_set)
                return self._limit_sets(names, f"{source.table_name}.{source.columns.limit_set}")
        return None

    def _limit_sets(self, names: pa.StringArray, field: str) -> pa.StringArray | None:
        if names.null_count == len(names):
            return None
        if pc.any(pc.equal(names, "")).as_py():
            raise InvalidTableError(
                "An empty text is not the name of a limit set.",
                field=field,
                remedy="Name one, or leave the cell null for the limits of the call.",
            )
        return self._filled(names)

    def tags(self) -> Sequence[Mapping[str, str]]:
        columns = {
            name: self._filled(source.texts(name)).to_pylist()
            for source in self._sources
            for name in source.columns.tags
        }
        if not columns:
            return ()
        return [
            {name: value for name, value in zip(columns, row, strict=True) if value is not None}
            for row in zip(*columns.values(), strict=True)
        ]

    def _filled(self, cells: pa.Array) -> pa.Array:
        """Return `cells` with nulls for the portfolios that only the other table names."""
        n_missing = self._n - len(cells)
        return pa.concat_arrays([cells, pa.nulls(n_missing, cells.type)]) if n_missing else cells
