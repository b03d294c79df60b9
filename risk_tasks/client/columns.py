"""Columns of any Arrow table as arrays: numbers, texts, and texts as runs and codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from risk_tasks.errors import InvalidTableError
from risk_tasks.wire.arrow import codes_of

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
