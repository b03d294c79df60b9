"""Read tables: CSV, Parquet, and frames that export Arrow."""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from risk_tasks.errors import InputFileError, RiskTasksError
from risk_tasks.model.book_columns import is_pandas_index
from risk_tasks.readers.files import read_bytes, read_text
from risk_tasks.wire.request import is_text


@dataclass(frozen=True)
class Table:
    """The columns of one source; their names differ."""

    columns: pa.Table
    #: the file's name; empty for a frame
    name: str
    #: the class of the errors of this source
    error: type[RiskTasksError]
    #: the name of a row, counted from 0, in the source: "line 14"
    row_name: Callable[[int], str]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for place, name in enumerate(self.names, start=1):
            if not name.strip():
                raise self.refuse(f"Column {place} has no name.", remedy="Name each column.")
            if name in seen:
                raise self.refuse(
                    "The column appears twice.", column=name, remedy="Name each column once."
                )
            seen.add(name)
        if not self.columns.num_rows:
            raise self.refuse("The table has no rows.", remedy="Give one row or more.")

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.columns.column_names)

    def refuse(
        self,
        message: str,
        *,
        row: int | None = None,
        column: str | None = None,
        remedy: str | None = None,
    ) -> RiskTasksError:
        """Return the error for `row` and `column` of this source."""
        parts = [self.name] if self.name else []
        if row is not None:
            parts.append(self.row_name(row))
        if column is not None:
            parts.append(f"column {column}")
        return self.error(message, field=", ".join(parts) or None, remedy=remedy)

    def require(self, *names: str) -> None:
        """Raise the table's error if one of `names` is not a column."""
        for name in names:
            if name not in self.names:
                near = difflib.get_close_matches(name.lower(), map(str.lower, self.names), n=1)
                found = next((n for n in self.names if n.lower() in near), None)
                raise self.refuse(
                    f"The column {name} is missing." + (f" Nearest: {found}." if found else ""),
                    remedy=f"Needed: {', '.join(names)}. Found: {', '.join(self.names[:8])}.",
                )

    def texts(self, name: str) -> list[str | None]:
        """Return a column of text, plain or dictionary-encoded; None where it is missing."""
        column = self.columns[name]
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not is_text(kind) and not pa.types.is_null(kind):
            raise self.refuse(
                f"The column has the type {kind}, not text.", column=name, remedy="Give text."
            )
        texts: list[str | None] = column.to_pylist()
        return texts

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column of finite numbers, shape (rows,); NaN where it is missing."""
        column = self.columns[name]
        if not _is_numeric(column.type):
            raise self.refuse(
                f"The column has the type {column.type}, not numbers.",
                column=name,
                remedy="Give numbers.",
            )
        try:
            cast = column.cast(pa.float64(), safe=False)
        except pa.ArrowInvalid:
            row = next(row for row, cell in enumerate(column) if not _is_number(cell))
            shown = repr(column[row].as_py())
            raise self.refuse(
                f"{shown} is not a number.",
                row=row,
                column=name,
                remedy="Give a number. Only a cell without a value is empty.",
            ) from None
        values: npt.NDArray[np.float64] = cast.to_numpy()
        wrong = column.is_valid().to_numpy() & ~np.isfinite(values)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise self.refuse(
                f"{column[row].as_py()} is not a finite number.",
                row=row,
                column=name,
                remedy="Give a finite number. Only a cell without a value is empty.",
            )
        return values


def _is_numeric(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return is_text(kind) or any(test(kind) for test in tests)


def _is_number(cell: Any) -> bool:
    try:
        cell.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def read_csv(path: Path) -> Table:
    """Return the table in `path` with text cells, so that errors can quote an invalid cell.

    Commas separate cells, the first line has the column names, blank lines are skipped, and cells
    are trimmed. An empty cell is a missing value.

    Raises `InputFileError` with file and line.
    """
    text = read_text(path)
    try:
        columns = _parse_csv(text, path.name)
    except (pa.ArrowException, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise InputFileError(f"The file is not CSV: {reason}.", field=path.name) from error
    trimmed = pa.Table.from_arrays(
        [_trimmed(column) for column in columns.columns],
        names=[name.strip() for name in columns.column_names],
    )
    return Table(trimmed, path.name, InputFileError, lambda row: _line_name(text, row + 1))


def _parse_csv(text: str, name: str) -> pa.Table:
    refused: list[pacsv.InvalidRow] = []

    def refuse(row: pacsv.InvalidRow) -> str:
        refused.append(row)
        return "error"

    header = next(row for row, _ in _records(text))
    try:
        return pacsv.read_csv(
            # pyarrow reads a single header line only if its line ends
            pa.BufferReader(text.encode() + b"\n"),
            read_options=pacsv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(invalid_row_handler=refuse),
            convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
        )
    except pa.ArrowInvalid:
        if not refused:
            raise
        row = refused[0]
        raise InputFileError(
            f"The line has {row.actual_columns} cells, but the header has {row.expected_columns}.",
            field=f"{name}, {_line_name(text, row.number - 1)}",
        ) from None


#: the longest line: enough for 100,000 instruments
_BLOCK_BYTES = 1 << 24


def _trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    cells = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(cells, ""), None, cells)


def _records(text: str) -> Iterator[tuple[list[str], int]]:
    """Yield each record that is not blank, and its first line."""
    records = csv.reader(io.StringIO(text, newline=""))
    line = 1
    for record in records:
        if record:
            yield record, line
        line = records.line_num + 1


def _line_name(text: str, number: int) -> str:
    """Return "line N" for record `number`; the header is record 0."""
    try:
        _, line = next(islice(_records(text), number, None))
    except (csv.Error, StopIteration):  # pyarrow reads some files that csv does not
        return f"row {number}"
    return f"line {line}"


@runtime_checkable
class ArrowFrame(Protocol):
    """A frame of any library that exports Arrow: pyarrow, polars, pandas, DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


Source: TypeAlias = str | os.PathLike[str] | ArrowFrame


def read_table(source: Source, *, frame_error: type[RiskTasksError]) -> Table:
    """Return the table in `source`: a path to `.csv` or `.parquet`, or a frame.

    Raises `InputFileError` for an invalid file, and `frame_error` for an invalid frame.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            read_bytes(path)  # a missing file is the more useful error
            raise InputFileError(
                f"Unknown file type {path.suffix!r}: expected .csv or .parquet.",
                field=str(path),
                remedy="Give a .csv or .parquet file; portfolios may also be in a .toml file.",
            )
        return reader(path)
    if not isinstance(source, ArrowFrame):
        raise frame_error(
            f"{type(source).__name__} is neither a path nor an Arrow frame.",
            remedy="Give a path, or a frame that exports Arrow.",
        )
    try:
        columns = _validated(pa.table(source))
    # pandas raises errors of its own for columns that it cannot export.
    except (*_ARROW_ERRORS, ValueError, TypeError) as error:
        raise frame_error(
            f"The frame is not a table: {_reason(error)}.",
            remedy="Give a frame that exports a valid Arrow table.",
        ) from error
    return Table(columns, "", frame_error, "row {}".format)


def _read_parquet(path: Path) -> Table:
    data = pa.BufferReader(read_bytes(path))
    try:
        columns = _validated(pq.ParquetFile(data).read(use_threads=False))
    except _ARROW_ERRORS as error:
        raise InputFileError(
            f"The file is not Parquet: {_reason(error)}.", field=path.name
        ) from error
    return Table(columns, path.name, InputFileError, "row {}".format)


#: the errors of pyarrow for invalid data; the last two are for damaged pages and texts
_ARROW_ERRORS = (pa.ArrowException, OSError, UnicodeDecodeError)


def _validated(columns: pa.Table) -> pa.Table:
    """Return `columns` without an index of pandas, if all text and names in them are UTF-8."""
    columns.validate(full=True)
    names = [str(name) for name in columns.column_names]
    kept = [i for i, name in enumerate(names) if not is_pandas_index(name)]
    return columns.select(kept).rename_columns([names[i] for i in kept])


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


_READERS: dict[str, Callable[[Path], Table]] = {".csv": read_csv, ".parquet": _read_parquet}


_DATE_REMEDY = "Write it as 2022-12-28, or as 2022-12-28T16:00:00-05:00."


def read_dates(table: Table, name: str) -> list[datetime]:
    """Return column `name` as ascending times, each in its own time zone.

    The column has ISO text, dates or timestamps. A date means midnight in UTC, and a time without
    time zone is in UTC. `date()` of a result is the date that the row has.

    Raises the table's error with row and column.
    """
    kind = table.columns[name].type
    if is_text(kind):
        moments = _parse_dates(table, name)
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        moments = _convert_dates(table, name)
    else:
        raise table.refuse(
            f"The column has the type {kind}, not dates.", column=name, remedy=_DATE_REMEDY
        )
    _require_ascending(table, name, moments)
    return moments


def _parse_dates(table: Table, name: str) -> list[datetime]:
    moments = []
    for row, text in enumerate(table.texts(name)):
        try:
            moment = datetime.fromisoformat(text or "")
            moments.append(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
            moments[-1].astimezone(UTC)
        except (ValueError, OverflowError):
            raise table.refuse(
                f"{text!r} is not a date." if text else "The date is missing.",
                row=row,
                column=name,
                remedy=_DATE_REMEDY,
            ) from None
    return moments


def _convert_dates(table: Table, name: str) -> list[datetime]:
    # First UTC, then no time zone: pyarrow would need a time zone database otherwise.
    in_utc = pc.CastOptions(pa.timestamp("us", "UTC"), allow_time_truncate=True)
    try:
        moments = pc.cast(table.columns[name], options=in_utc).cast(pa.timestamp("us")).to_pylist()
    except (pa.ArrowInvalid, OverflowError) as error:
        raise table.refuse(
            f"A date is out of range: {error}.",
            column=name,
            remedy="Give dates of the years 1 to 9999.",
        ) from error
    if None in moments:
        raise table.refuse(
            "The date is missing.",
            row=moments.index(None),
            column=name,
            remedy="Give a date on each row.",
        )
    zone = _zone_of(table, name)
    return [moment.replace(tzinfo=UTC).astimezone(zone) for moment in moments]


def _zone_of(table: Table, name: str) -> tzinfo:
    """Return the time zone of a column of dates or timestamps, UTC without a time zone."""
    zone = getattr(table.columns[name].type, "tz", None)
    if not zone or zone.upper() == "UTC":
        return UTC
    try:
        # Arrow knows names of the time zone database, and offsets such as +01:00.
        if zone[0] in "+-":
            return datetime.fromisoformat(f"2000-01-01T00:00:00{zone}").tzinfo or UTC
        return ZoneInfo(zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise table.refuse(
            f"The time zone {zone!r} is unknown.",
            column=name,
            remedy="Give dates without a time, or install the package tzdata.",
        ) from None


def _require_ascending(table: Table, name: str, moments: list[datetime]) -> None:
    for row in range(1, len(moments)):
        before, moment = moments[row - 1], moments[row]
        if moment > before:
            continue
        relation = "is the same as" if moment == before else "is before"
        raise table.refuse(
            f"{moment:%Y-%m-%d %H:%M} {relation} the date of {table.row_name(row - 1)}.",
            row=row,
            column=name,
            remedy="Sort the rows by date, oldest first, with one row per date.",
        )
