"""Calls of the libraries by function: one book, or all of them at once.

Each call returns our measure of a book over its net asset value, losses positive. If the number of
the library differs, the call contains the conversion and the table of agreements names it. A call
of a measure of single instruments returns a number for each position, a call of columns a number
for each column.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.libraries.calls import (
    empyrical_calls,
    riskfolio_calls,
    skfolio_calls,
    sklearn_calls,
)

MODULES = (skfolio_calls, riskfolio_calls, empyrical_calls, sklearn_calls)

#: of a `Book`, and of `Columns` too if the name is in `OF_COLUMNS`
CALLS: dict[str, Callable[[Any], Any]] = {
    f"{module.LIBRARY} {name}": call for module in MODULES for name, call in module.CALLS.items()
}
OF_COLUMNS = [f"{module.LIBRARY} {name}" for module in MODULES for name in module.OF_COLUMNS]
