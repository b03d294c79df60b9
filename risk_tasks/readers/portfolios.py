"""Portfolios from TOML, or from a table of positions."""

from __future__ import annotations

import os
from pathlib import Path

from risk_tasks.errors import InputFileError, InvalidTableError
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.readers.documents import (
    check_keys,
    check_numbers,
    model_errors_at,
    read_document,
)
from risk_tasks.readers.positions import portfolios_of
from risk_tasks.readers.sources import Source, read_table

_KEYS = {"id": str, "cash": float, "nav": float, "tags": dict, "positions": dict}


def read_portfolios(source: Source) -> list[Portfolio]:
    """Return the portfolios of `source`, in order of first appearance.

    `source` is a path to a `.toml`, `.csv` or `.parquet` file, or any frame that speaks Arrow.

    - TOML: `[[portfolio]]` with `id`, `positions` (a table of instrument = quantity, empty for a
      portfolio that holds nothing) and optionally `cash`, `nav` and a table `tags`.
    - A table: one row per position with the columns `portfolio_id`, `instrument`, `quantity`, and
      optionally `cash` and `nav`; every other column is a tag. What belongs to the portfolio
      stands on each of its rows. A row without instrument and quantity declares a portfolio that
      holds nothing.

    Quantities are signed, in units of the instrument; cash and nav are in the base currency, and
    unknown where they are empty.

    Raises `InputFileError` naming file and line or key; for a frame `InvalidTableError` naming row
    and column.
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
                f"Two portfolios are called {portfolio.id!r}.", field=f"{place}, key id"
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
