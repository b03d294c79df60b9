"""Checks of names, numbers, mappings and choices in requests and files.

Each `require_*` function raises `error`, with `field` and a remedy, for an invalid value.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import inf, isfinite
from typing import Any, SupportsFloat, TypeVar

import numpy as np

from risk_tasks.errors import RiskTasksError

Choice = TypeVar("Choice", bound=StrEnum)


def is_name(name: object) -> bool:
    """Whether `name` is non-empty text in UTF-8, without lone surrogates."""
    return isinstance(name, str) and bool(name) and is_utf8(name)


def is_utf8(text: str) -> bool:
    """Whether `text` can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


#: types that convert to float but are not numbers here
_NOT_NUMBERS = (str, bytes, bool, np.bool_, np.ndarray, np.complexfloating, np.flexible)


def as_finite(number: object) -> float | None:
    """Return `number` as a float, or None unless it is a finite number.

    Decimal and NumPy scalars are numbers; texts and booleans are not.
    """
    if type(number) is float or type(number) is int:
        return _finite(number)
    if isinstance(number, _NOT_NUMBERS) or not isinstance(number, SupportsFloat):
        return None
    return _finite(number)


def _finite(number: SupportsFloat) -> float | None:
    try:
        value = float(number)
    except (TypeError, ValueError, OverflowError):
        return None
    return value if isfinite(value) else None


def require_name(value: object, field: str, error: type[RiskTasksError]) -> None:
    """Raise `error` unless `value` is non-empty text in UTF-8."""
    if not is_name(value):
        raise error(
            f"{value!r} is not a name: expected non-empty text in UTF-8.",
            field=field,
            remedy="Give non-empty text without lone surrogates.",
        )


def folded(name: str) -> str:
    """Return `name` without surrounding spaces and case: equal for names that look the same."""
    return name.strip().casefold()


def require_finite(value: object, field: str, error: type[RiskTasksError]) -> float:
    """Return `value` as a float; raise `error` unless it is a finite number."""
    number = as_finite(value)
    if number is None:
        raise error(
            f"{value!r} is not a finite number.",
            field=field,
            remedy="Give a number that is not NaN, infinite, text or a boolean.",
        )
    return number


def require_mapping(value: object, field: str, error: type[RiskTasksError]) -> Mapping[Any, Any]:
    """Return `value`; raise `error` unless it is a mapping."""
    if not isinstance(value, Mapping):
        raise error(
            f"{value!r} is not a mapping.", field=field, remedy="Give a mapping, such as a dict."
        )
    return value


def require_choice(
    value: Any, kind: type[Choice], field: str, error: type[RiskTasksError]
) -> Choice:
    """Return the member of `kind` with this value; raise `error` if there is none."""
    try:
        return kind(value)
    except ValueError:
        expected = ", ".join(kind)
        raise error(
            f"Unknown {field} {value!r}: expected {expected}.",
            field=field,
            remedy="Give one of these values.",
        ) from None


def require_whole(
    value: object,
    field: str,
    error: type[RiskTasksError],
    *,
    least: int,
    largest: float = inf,
    step: int = 1,
) -> None:
    """Raise `error` unless `value` is an integer from `least` to `largest`, divisible by `step`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not least <= value <= largest or value % step:  # type: ignore[operator]
        kind = "an even number" if step == 2 else "a whole number"
        limits = f"{least} or more" if largest == inf else f"{least} to {largest}"
        raise error(
            f"Invalid {field} {value!r}: expected {kind}, {limits}.",
            field=field,
            remedy=f"Give an integer, such as {least}.",
        )
