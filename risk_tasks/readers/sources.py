"""Where tables come from: CSV, Parquet, and frames that speak Arrow."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import pyarrow as pa
import pyarrow.parquet as pq

from risk_tasks.errors import InputFileError, RiskTasksError
from risk_tasks.readers.csv_files import read_csv
from risk_tasks.readers.files import read_bytes
from risk_tasks.readers.tables import Table


@runtime_checkable
class ArrowFrame(Protocol):
    """A frame of any library that exports Arrow: pyarrow, polars, pandas, DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


Source: TypeAlias = str | os.PathLike[str] | ArrowFrame


def read_table(source: Source, *, frame_error: type[RiskTasksError]) -> Table:
    """Return the table in `source`: a path to `.csv` or `.parquet`, or a frame.

    Raises `InputFileError` for what is wrong in a file, and `frame_error` for a frame.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            read_bytes(path)  # a path that leads nowhere is the more telling error
            raise InputFileError(
                f"{path.suffix!r} is not the ending of a table.",
                field=str(path),
                remedy="Give a .csv or .parquet file; portfolios may also be in a .toml file.",
            )
        return reader(path)
    if not isinstance(source, ArrowFrame):
        raise frame_error(f"{type(source).__name__} is neither a path nor an Arrow frame.")
    try:
        columns = _validated(pa.table(source))
    except _ARROW_ERRORS as error:
        raise frame_error(f"The frame is not a table: {_reason(error)}.") from error
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


#: what pyarrow raises for bad data: its own kinds, and the last two for damaged pages and texts
_ARROW_ERRORS = (pa.ArrowException, OSError, UnicodeDecodeError)


def _validated(columns: pa.Table) -> pa.Table:
    """Return `columns` once every text and name in them is known to be UTF-8."""
    columns.validate(full=True)
    return columns.rename_columns([str(name) for name in columns.column_names])


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


_READERS: dict[str, Callable[[Path], Table]] = {".csv": read_csv, ".parquet": _read_parquet}
