"""What the libraries are asked, by the function that answers: one book, or all of them at once.

Each call returns our measure of a book over its net asset value, losses positive: where a library's
own number is another, what is done to it is in the call, and stands in the table of agreements. A
call of a measure of single instruments returns a number for each position, one of columns a number
for each.
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

#: of a `Book`, and where the name is in `OF_COLUMNS` of `Columns` too
CALLS: dict[str, Callable[[Any], Any]] = {
    f"{module.LIBRARY} {name}": call for module in MODULES for name, call in module.CALLS.items()
}
OF_COLUMNS = [f"{module.LIBRARY} {name}" for module in MODULES for name in module.OF_COLUMNS]
