"""Tables in CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from risk_tasks.errors import InputFileError
from risk_tasks.readers.files import read_text
from risk_tasks.readers.tables import Table


def read_csv(path: Path) -> Table:
    """Return the table in `path`, every cell as text, so that what is wrong in one can be named.

    Commas separate, the first line names the columns, blank lines are skipped, and blanks around
    a cell are not part of it. An empty cell is missing.

    Raises `InputFileError` naming file and line.
    """
    text = read_text(path)
    try:
        columns = _parsed(text, path.name)
    except (pa.ArrowException, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise InputFileError(f"The file is not CSV: {reason}.", field=path.name) from error
    trimmed = pa.Table.from_arrays(
        [_trimmed(column) for column in columns.columns],
        names=[name.strip() for name in columns.column_names],
    )
    return Table(trimmed, path.name, InputFileError, lambda row: _line_name(text, row + 1))


def _parsed(text: str, name: str) -> pa.Table:
    refused: list[pacsv.InvalidRow] = []

    def refuse(row: pacsv.InvalidRow) -> str:
        refused.append(row)
        return "error"

    header = next(row for row, _ in _records(text))
    try:
        return pacsv.read_csv(
            # a header alone is a table without rows only when its line ends
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


#: a line is shorter than this: 100,000 instruments still fit
_BLOCK_BYTES = 1 << 24


def _trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    cells = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(cells, ""), None, cells)


def _records(text: str) -> Iterator[tuple[list[str], int]]:
    """Yield each record that is not blank, and the line on which it begins."""
    records = csv.reader(io.StringIO(text, newline=""))
    line = 1
    for record in records:
        if record:
            yield record, line
        line = records.line_num + 1


def _line_name(text: str, number: int) -> str:
    """Return "line N" for a record, the header being record 0."""
    try:
        _, line = next(islice(_records(text), number, None))
    except (csv.Error, StopIteration):  # what pyarrow reads, but not the csv module
        return f"row {number}"
    return f"line {line}"
