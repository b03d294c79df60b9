"""A table of outside data, with the words to name a place in it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.errors import RiskTasksError


@dataclass(frozen=True)
class Table:
    """Columns of one source, each named once."""

    columns: pa.Table
    #: the file's name; empty for a frame
    name: str
    #: what is raised for anything wrong in this source
    error: type[RiskTasksError]
    #: names a row, counted from 0, as a reader of the source finds it: "line 14"
    row_name: Callable[[int], str]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for place, name in enumerate(self.names, start=1):
            if not name.strip():
                raise self.refuse(f"Column {place} has no name.")
            if name in seen:
                raise self.refuse("The column stands twice.", column=name)
            seen.add(name)
        if not self.columns.num_rows:
            raise self.refuse("There are no rows.", remedy="Give at least one below the header.")

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
        """Return the error that names `row` and `column` of this source."""
        parts = [self.name] if self.name else []
        if row is not None:
            parts.append(self.row_name(row))
        if column is not None:
            parts.append(f"column {column}")
        return self.error(message, field=", ".join(parts) or None, remedy=remedy)

    def require(self, *names: str) -> None:
        """Raise for the first of `names` that is no column."""
        for name in names:
            if name not in self.names:
                near = difflib.get_close_matches(name.lower(), map(str.lower, self.names), n=1)
                found = next((n for n in self.names if n.lower() in near), None)
                raise self.refuse(
                    f"There is no column {name}." + (f" Nearest: {found}." if found else ""),
                    remedy=f"Needed: {', '.join(names)}. Found: {', '.join(self.names[:8])}.",
                )

    def texts(self, name: str) -> list[str | None]:
        """Return a column of text, plain or dictionary-encoded; None where it is missing."""
        column = self.columns[name]
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not is_text(kind) and not pa.types.is_null(kind):
            raise self.refuse(f"The column holds {kind}, not text.", column=name)
        texts: list[str | None] = column.to_pylist()
        return texts

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column of finite numbers, shape (rows,); NaN where it is missing."""
        column = self.columns[name]
        if not _is_numeric(column.type):
            raise self.refuse(f"The column holds {column.type}, not numbers.", column=name)
        try:
            cast = column.cast(pa.float64(), safe=False)
        except pa.ArrowInvalid:
            row = next(row for row, cell in enumerate(column) if not _is_number(cell))
            shown = repr(column[row].as_py())
            raise self.refuse(f"{shown} is not a number.", row=row, column=name) from None
        values: npt.NDArray[np.float64] = cast.to_numpy()
        wrong = column.is_valid().to_numpy() & ~np.isfinite(values)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise self.refuse(
                f"{column[row].as_py()} is not a finite number.",
                row=row,
                column=name,
                remedy="Leave it empty where there is none.",
            )
        return values


def is_text(kind: pa.DataType) -> bool:
    """Whether `kind` is one of Arrow's types of text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_numeric(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return is_text(kind) or any(test(kind) for test in tests)


def _is_number(cell: Any) -> bool:
    try:
        cell.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
