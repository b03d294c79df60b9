"""Sheets as files and frames: CSV, pandas, polars, Arrow, and documents of TOML and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa

from tests.silent.worlds import Column


def write_csv(columns: Sequence[Column], path: Path) -> Path:
    """Write a table as pandas would: empty cells for missing ones, dates in ISO format."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([name for name, _ in columns])
        cells = [[_text(cell) for cell in column] for _, column in columns]
        writer.writerows(zip(*cells, strict=True))
    return path


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    return cell.isoformat(sep=" ") if isinstance(cell, datetime) else str(cell)


def arrow(columns: Sequence[Column]) -> pa.Table:
    """Return a table of Arrow; its columns may have one name."""
    arrays = [pa.array(cells) for _, cells in columns]
    return pa.Table.from_arrays(arrays, names=[name for name, _ in columns])


def _pandas(columns: Sequence[Column]) -> pd.DataFrame:
    frame = pd.concat([_series(cells) for _, cells in columns], axis=1)
    frame.columns = pd.Index([name for name, _ in columns])
    return frame


def _series(cells: list[Any]) -> pd.Series:
    if isinstance(cells[0], datetime):
        return pd.Series(pd.DatetimeIndex(cells))
    return pd.Series(pd.to_datetime(cells)) if isinstance(cells[0], date) else pd.Series(cells)


def _sparse(columns: Sequence[Column]) -> pd.DataFrame:
    frame = _pandas(columns)
    for name in frame.columns:
        if frame[name].dtype == "float64":
            frame[name] = pd.arrays.SparseArray(frame[name].to_numpy())
    return frame


def frame_of(columns: Sequence[Column], carrier: str) -> Any:
    """Return the table as `carrier` holds it; not for `csv`."""
    if carrier == "arrow":
        return arrow(columns)
    if carrier == "pandas":
        return _pandas(columns)
    if carrier == "sparse":
        return _sparse(columns)
    if carrier == "object":
        return _pandas(columns).astype(object)
    if carrier == "nullable":
        return _pandas(columns).convert_dtypes()
    return pl.DataFrame(dict(columns))


def stream(*tables: pa.Table) -> bytes:
    """Return the tables as consecutive Arrow streams."""
    sink = pa.BufferOutputStream()
    for table in tables:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def toml(document: dict[str, Any]) -> str:
    """Return tables, and lists of tables, as TOML with inline values."""
    lines = []
    for key, value in document.items():
        if isinstance(value, dict):
            lines += [f"[{json.dumps(key)}]", *_pairs(value)]
        elif isinstance(value, list):
            for table in value:
                lines += [f"[[{key}]]", *_pairs(table)]
        else:
            lines.append(f"{key} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _pairs(table: dict[str, Any]) -> list[str]:
    return [f"{json.dumps(key)} = {_value(value)}" for key, value in table.items()]


def _value(value: Any) -> str:
    if isinstance(value, dict):
        pairs = [f"{json.dumps(key)} = {_value(each)}" for key, each in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


def portfolio_documents(book: Sequence[Column]) -> list[dict[str, Any]]:
    """Return the portfolios as a program would write them: texts beside the position are tags."""
    rows: dict[str, dict[str, Any]] = {}
    names = [name for name, _ in book]
    for cells in zip(*(cells for _, cells in book), strict=True):
        row = dict(zip(names, cells, strict=True))
        key = row.pop("portfolio_id")
        found = rows.setdefault(key, {"id": key, "positions": {}, "tags": {}})
        found["positions"][row.pop("instrument")] = row.pop("quantity")
        for name, cell in row.items():
            if isinstance(cell, str):
                found["tags"][name] = cell
            elif cell is not None:
                found[name] = cell
    return list(rows.values())
