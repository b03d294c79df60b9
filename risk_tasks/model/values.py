"""Names and numbers from outside."""

from __future__ import annotations

from math import isfinite
from typing import SupportsFloat

import numpy as np


def is_name(name: object) -> bool:
    """Whether `name` is a text, not empty, that a message can carry: no lone surrogate."""
    return isinstance(name, str) and bool(name) and is_utf8(name)


def is_utf8(text: str) -> bool:
    """Whether `text` can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


#: what has a float all the same
_NO_NUMBERS = (str, bytes, bool, np.bool_, np.ndarray, np.complexfloating, np.flexible)


def as_finite(number: object) -> float | None:
    """Return `number` as a float, or None unless it is a finite number.

    Decimal and NumPy scalars are numbers; texts and booleans are not.
    """
    if type(number) is float or type(number) is int:
        return _finite(number)
    if isinstance(number, _NO_NUMBERS) or not isinstance(number, SupportsFloat):
        return None
    return _finite(number)


def _finite(number: SupportsFloat) -> float | None:
    try:
        value = float(number)
    except (TypeError, ValueError, OverflowError):
        return None
    return value if isfinite(value) else None
