"""Read portfolios from TOML, or from a table with one row per position."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from math import isnan
from pathlib import Path
from typing import TypeVar

from risk_tasks.errors import InputFileError, InvalidTableError
from risk_tasks.model.book_columns import (
    POSITION_COLUMNS,
    BookColumnError,
    BookColumns,
    classify_columns,
)
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.values import folded
from risk_tasks.readers.tables import Source, Table, read_table
from risk_tasks.readers.toml_files import (
    check_keys,
    check_numbers,
    model_errors_at,
    read_document,
)

T = TypeVar("T")


def _table_portfolios(table: Table, tags: Iterable[str]) -> list[Portfolio]:
    """Return the portfolios of `table`, in order of first appearance.

    Raises the table's error with row and column.
    """
    table.require(*POSITION_COLUMNS)
    columns = _classify(table, tags)
    instruments = table.texts("instrument")
    quantities = _numbers(table, "quantity")
    amounts = {name: _numbers(table, name) for name in (columns.cash, columns.nav) if name}
    texts = {name: table.texts(name) for name in columns.tags}
    portfolios = []
    for portfolio_id, rows in _rows_by_portfolio(table).items():
        agreed = {name: _agreed(table, name, values, rows) for name, values in amounts.items()}
        labels = {name: _agreed(table, name, values, rows) for name, values in texts.items()}
        portfolios.append(
            Portfolio(
                portfolio_id,
                _positions(table, instruments, quantities, rows),
                cash=agreed.get(columns.cash or ""),
                nav=agreed.get(columns.nav or ""),
                tags={name: label for name, label in labels.items() if label is not None},
            )
        )
    return portfolios


def _classify(table: Table, tags: Iterable[str]) -> BookColumns:
    try:
        columns = classify_columns(table.names, tags=tags)
    except BookColumnError as error:
        raise table.refuse(str(error), column=error.column, remedy=error.remedy) from None
    if columns.limit_set is not None:
        raise table.refuse(
            "A Portfolio does not name its limit set.",
            column=columns.limit_set,
            remedy="Give the table to check_table, which reads this column; or remove the column "
            "and pass limits=.",
        )
    return columns


def _numbers(table: Table, name: str) -> list[float | None]:
    return [None if isnan(number) else number for number in table.numbers(name).tolist()]


def _rows_by_portfolio(table: Table) -> dict[str, list[int]]:
    rows_by_portfolio: dict[str, list[int]] = {}
    id_by_folded: dict[str, str] = {}
    for row, portfolio_id in enumerate(table.texts("portfolio_id")):
        if not portfolio_id:
            raise table.refuse(
                "The portfolio id is missing.",
                row=row,
                column="portfolio_id",
                remedy="Give the id of the portfolio on each row.",
            )
        other = id_by_folded.setdefault(folded(portfolio_id), portfolio_id)
        if other != portfolio_id:
            raise table.refuse(
                f"{portfolio_id!r} differs from {other!r} only in case or spaces: expected one "
                "id, or two that differ in more.",
                row=row,
                column="portfolio_id",
                remedy="Write the id of a portfolio in the same way on all rows.",
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


def read_portfolios(source: Source, *, tags: Iterable[str] = ()) -> list[Portfolio]:
    """Return the portfolios of `source`, in order of first appearance.

    `source` is a path to a `.toml`, `.csv` or `.parquet` file, or any frame that exports Arrow.

    - TOML: `[[portfolio]]` with `id`, `positions` (a table of instrument = quantity, empty for a
      portfolio that holds nothing) and optionally `cash`, `nav` and a table `tags`.
    - A table: one row per position with the columns `portfolio_id`, `instrument`, `quantity`, and
      optionally `cash` and `nav`, in any case; every other column is a tag. Each row of a portfolio
      repeats its cash, nav and tags. A row without instrument and quantity declares a portfolio
      without positions. A column whose name looks like an amount or an attribute of a position,
      such as `price` or `currency`, is refused unless `tags` names it.

    Quantities are signed, in units of the instrument. Cash and nav are in the base currency; an
    empty cell means unknown.

    Raises `InputFileError` with file and line or key; `InvalidTableError` with row and column for
    an invalid frame.
    """
    if isinstance(source, str | os.PathLike) and Path(source).suffix.lower() == ".toml":
        for tag in tags:
            raise InputFileError(
                f"tags names {tag!r}, but a TOML file has its tags in tables of their own.",
                field=f"{Path(source).name}, tags",
                remedy="Leave tags out.",
            )
        return _document_portfolios(Path(source))
    return _table_portfolios(read_table(source, frame_error=InvalidTableError), tags)


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
