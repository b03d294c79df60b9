"""Read portfolios from TOML, or from a table with one row per position."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TypeVar

from risk_tasks.errors import InputFileError, InvalidTableError
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.readers.tables import Source, Table, read_table
from risk_tasks.readers.toml_files import (
    check_keys,
    check_numbers,
    model_errors_at,
    read_document,
)

_POSITION = ("portfolio_id", "instrument", "quantity")
_AMOUNTS = ("cash", "nav")

T = TypeVar("T")


def portfolios_of(table: Table) -> list[Portfolio]:
    """Return the portfolios of `table`, in order of first appearance.

    Raises the table's error with row and column.
    """
    table.require(*_POSITION)
    instruments = table.texts("instrument")
    quantities = _numbers(table, "quantity")
    amounts = {name: _numbers(table, name) for name in _AMOUNTS if name in table.names}
    tag_names = [name for name in table.names if name not in _POSITION + _AMOUNTS]
    tags = {name: table.texts(name) for name in tag_names}
    portfolios = []
    for portfolio_id, rows in _rows_by_portfolio(table).items():
        agreed = {name: _agreed(table, name, values, rows) for name, values in amounts.items()}
        labels = {name: _agreed(table, name, values, rows) for name, values in tags.items()}
        portfolios.append(
            Portfolio(
                portfolio_id,
                _positions(table, instruments, quantities, rows),
                cash=agreed.get("cash"),
                nav=agreed.get("nav"),
                tags={name: label for name, label in labels.items() if label is not None},
            )
        )
    return portfolios


def _numbers(table: Table, name: str) -> list[float | None]:
    return [None if isnan(number) else number for number in table.numbers(name).tolist()]


def _rows_by_portfolio(table: Table) -> dict[str, list[int]]:
    rows_by_portfolio: dict[str, list[int]] = {}
    for row, portfolio_id in enumerate(table.texts("portfolio_id")):
        if not portfolio_id:
            raise table.refuse(
                "The portfolio id is missing.",
                row=row,
                column="portfolio_id",
                remedy="Give the id of the portfolio on each row.",
            )
        rows_by_portfolio.setdefault(portfolio_id, []).append(row)
    return rows_by_portfolio


def _agreed(table: Table, name: str, values: Sequence[T], rows: list[int]) -> T:
    """Return the value that all `rows` have; raise the table's error if they differ."""
    first = rows[0]
    for row in rows:
        if values[row] != values[first]:
            raise table.refuse(
                f"{values[row]!r} differs from {values[first]!r} on {table.row_name(first)}, "
                "for the same portfolio.",
                row=row,
                column=name,
                remedy="Give the same cash, nav and tags on all rows of a portfolio.",
            )
    return values[first]


def _positions(
    table: Table,
    instruments: Sequence[str | None],
    quantities: Sequence[float | None],
    rows: list[int],
) -> dict[str, float]:
    """Return the positions of `rows`; a row without instrument and quantity adds nothing."""
    row_by_instrument: dict[str | None, int] = {}
    positions: dict[str, float] = {}
    for row in rows:
        instrument, quantity = instruments[row] or None, quantities[row]
        if instrument in row_by_instrument:
            earlier = table.row_name(row_by_instrument[instrument])
            raise table.refuse(
                f"{instrument or 'The empty portfolio'} appears twice, here and on {earlier}.",
                row=row,
                column="instrument",
                remedy="Keep one of the two rows, or add the quantities up.",
            )
        row_by_instrument[instrument] = row
        if instrument is not None and quantity is not None:
            positions[instrument] = quantity
        elif instrument is not None or quantity is not None:
            column = "instrument" if instrument is None else "quantity"
            raise table.refuse(
                f"The {column} is missing.",
                row=row,
                column=column,
                remedy="Give both instrument and quantity, or remove the row.",
            )
    if None in row_by_instrument and positions:
        raise table.refuse(
            "The row declares a portfolio without positions, but other rows have positions.",
            row=row_by_instrument[None],
            column="instrument",
            remedy="Remove this row or the other rows.",
        )
    return positions


_KEYS = {"id": str, "cash": float, "nav": float, "tags": dict, "positions": dict}


def read_portfolios(source: Source) -> list[Portfolio]:
    """Return the portfolios of `source`, in order of first appearance.

    `source` is a path to a `.toml`, `.csv` or `.parquet` file, or any frame that exports Arrow.

    - TOML: `[[portfolio]]` with `id`, `positions` (a table of instrument = quantity, empty for a
      portfolio that holds nothing) and optionally `cash`, `nav` and a table `tags`.
    - A table: one row per position with the columns `portfolio_id`, `instrument`, `quantity`, and
      optionally `cash` and `nav`; every other column is a tag. Each row of a portfolio repeats its
      cash, nav and tags. A row without instrument and quantity declares a portfolio without
      positions.

    Quantities are signed, in units of the instrument. Cash and nav are in the base currency; an
    empty cell means unknown.

    Raises `InputFileError` with file and line or key; `InvalidTableError` with row and column for
    an invalid frame.
    """
    if isinstance(source, str | os.PathLike) and Path(source).suffix.lower() == ".toml":
        return _document_portfolios(Path(source))
    return portfolios_of(read_table(source, frame_error=InvalidTableError))


def _document_portfolios(file: Path) -> list[Portfolio]:
    document = check_keys(
        read_document(file), file.name, {"portfolio": list}, required=("portfolio",)
    )
    portfolios: dict[str, Portfolio] = {}
    for number, table in enumerate(document["portfolio"], start=1):
        place = f"{file.name}, portfolio {number}"
        portfolio = _portfolio(place, table)
        if portfolio.id in portfolios:
            raise InputFileError(
                f"Two portfolios have the id {portfolio.id!r}.", field=f"{place}, key id"
            )
        portfolios[portfolio.id] = portfolio
    if not portfolios:
        raise InputFileError("The file has no portfolio.", field=f"{file.name}, key portfolio")
    return list(portfolios.values())


def _portfolio(place: str, table: object) -> Portfolio:
    if isinstance(table, dict) and isinstance(table.get("id"), str):
        place = f"{place} ({table['id']})"
    keys = check_keys(table, place, _KEYS, required=("id", "positions"))
    check_numbers(keys["positions"], f"{place}, key positions")
    with model_errors_at(place):
        return Portfolio(**keys)
