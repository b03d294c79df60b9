"""Labelled inputs: a frame or a series is aligned to the instruments by its labels, or refused.

Frames are recognised by their attributes, as those of pandas, polars and pyarrow: none of these
libraries is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from risk_tasks.errors import InvalidMarketError


def aligned_columns(given: Any, instruments: Sequence[str], field: str) -> Any:
    """Return the columns of `given` in the order of `instruments`, or `given` without labels.

    A list of rows is aligned row by row.
    """
    _require_known_labels(given, field)
    if isinstance(given, list | tuple):
        return [aligned_rows(row, instruments, field) for row in given]
    labels = list(given) if isinstance(given, Mapping) else _columns_of(given)
    if labels is None:
        return given
    order = _positions(labels, instruments, field)
    try:
        if hasattr(given, "iloc"):
            return given.iloc[:, order].to_numpy(dtype=float, na_value=float("nan"))
        return _rows([given[labels[index]] for index in order])
    except (TypeError, ValueError) as error:
        raise InvalidMarketError(
            f"{field} does not have a column of numbers for each instrument: {error}.",
            field=field,
            remedy="Give columns of numbers of one length.",
        ) from error


def aligned_rows(given: Any, instruments: Sequence[str], field: str) -> Any:
    """Return the values of `given`, a series or a mapping, in the order of `instruments`.

    Anything without labels is returned as it is.
    """
    _require_known_labels(given, field)
    if isinstance(given, Mapping):
        names = list(given)
        return [given[names[index]] for index in _positions(names, instruments, field)]
    labels = _index_of(given)
    if labels is None:
        return given
    return given.iloc[_positions(labels, instruments, field)]


def aligned_square(given: Any, instruments: Sequence[str], field: str) -> Any:
    """Return the rows and columns of `given` in the order of `instruments`.

    A frame needs labels of both; anything without labels is returned as it is.
    """
    _require_known_labels(given, field)
    columns = list(given) if isinstance(given, Mapping) else _columns_of(given)
    rows = _index_of(given)
    if columns is None and rows is None and not any(_is_labelled(row) for row in _items(given)):
        return given
    if columns is None or rows is None:
        raise InvalidMarketError(
            f"{field} has labels, but not of both rows and columns.",
            field=field,
            remedy="Set the instruments as the index and as the columns of a pandas frame, or "
            "give an array.",
        )
    order = _positions(rows, instruments, field)
    return given.iloc[order, _positions(columns, instruments, field)]


def dates_of(given: Any, dates: Any) -> Any:
    """Return the dates of the rows of `given`, or `dates` if its rows have no labels.

    A label is a date, a time or ISO text. A time means the date in its own zone. Raises if both are
    given and differ.
    """
    labels = _common_index(given) if isinstance(given, Mapping) else _index_of(given)
    if labels is None:
        return dates
    found = [_date(label, row) for row, label in enumerate(labels)]
    if dates is not None and not _are_days(dates, found):
        raise InvalidMarketError(
            "The index of returns and dates differ.",
            field="dates",
            remedy="Leave dates out: the index has them.",
        )
    return found


def _rows(columns: Sequence[Any]) -> list[list[Any]]:
    """Return the rows of `columns`."""
    lists = [column.to_pylist() if hasattr(column, "to_pylist") else column for column in columns]
    return [[_number(cell) for cell in row] for row in zip(*lists, strict=True)]


def _number(cell: Any) -> Any:
    return float("nan") if cell is None else cell


def _items(given: Any) -> Sequence[Any]:
    return given if isinstance(given, list | tuple) else ()


def _is_labelled(given: Any) -> bool:
    return isinstance(given, Mapping) or _index_of(given) is not None


def _require_known_labels(given: Any, field: str) -> None:
    """Raise for an array of xarray and a lazy frame of polars, whose labels cannot be read."""
    if len(getattr(given, "coords", ())) or hasattr(given, "collect"):
        raise InvalidMarketError(
            f"{field} has labels that cannot be read.",
            field=field,
            remedy="Give a frame, as to_pandas() or collect() returns, or an array without labels.",
        )


def _common_index(columns: Mapping[Any, Any]) -> list[Any] | None:
    """Return the labels of the rows of all `columns`; raises if two columns differ."""
    indices = {name: _index_of(column) for name, column in columns.items()}
    first = next(iter(indices), None)
    for name, labels in indices.items():
        if labels != indices[first]:
            raise InvalidMarketError(
                f"The rows of {first} and {name} have different labels.",
                field="returns",
                remedy="Give series with one index, or a frame of them.",
            )
    return indices.get(first)


def _index_of(given: Any) -> list[Any] | None:
    """Return the labels of the rows of a series or frame of pandas."""
    index = getattr(given, "index", None)
    return None if index is None or callable(index) else _labels(index)


def _columns_of(given: Any) -> list[Any] | None:
    columns = getattr(given, "column_names", None)  # pyarrow
    if columns is None:
        columns = getattr(given, "columns", None)
    return None if columns is None or callable(columns) else _labels(columns)


def _labels(index: Iterable[Any]) -> list[Any] | None:
    """Return the labels of an index, None for one that only counts from 0."""
    labels = list(index)
    if len(getattr(index, "names", ())) > 1:
        raise InvalidMarketError(
            "The labels have several levels: expected one.",
            field="instruments",
            remedy="Select one level, such as frame['Close'].",
        )
    return None if labels == list(range(len(labels))) else labels


def _positions(labels: Sequence[Any], instruments: Sequence[str], field: str) -> list[int]:
    """Return the index among `labels` of each instrument; raises unless both are the same set."""
    position = {str(label): index for index, label in enumerate(labels)}
    if len(position) < len(labels):
        twice = next(label for label in labels if list(map(str, labels)).count(str(label)) > 1)
        raise InvalidMarketError(
            f"The label {twice} appears twice.", field=field, remedy="Keep one of the two."
        )
    known = set(instruments)
    missing = [name for name in instruments if name not in position]
    unknown = [label for label in position if label not in known]
    if missing or unknown:
        found = f"no {missing[0]}" if missing else f"{unknown[0]}, which is not an instrument"
        raise InvalidMarketError(
            f"The labels of {field} differ from the instruments: the labels have {found}.",
            field=field,
            remedy="Give exactly the instruments as labels, in any order, or an array without "
            "labels in the order of the instruments.",
        )
    return [position[name] for name in instruments]


def _are_days(dates: Any, days: list[date]) -> bool:
    try:
        return [_day(label) for label in dates] == days
    except (TypeError, ValueError):
        return False


def _day(label: Any) -> date:
    if isinstance(label, datetime):
        return label.date()
    return label if isinstance(label, date) else datetime.fromisoformat(label).date()


def _date(label: Any, row: int) -> date:
    try:
        return _day(label)
    except (TypeError, ValueError):
        raise InvalidMarketError(
            f"The label {label!r} of row {row} is not a date.",
            field="returns",
            remedy="Give dates as the index of returns, or reset the index.",
        ) from None
