"""The rank of a quantile, by rational arithmetic.

Binary floating point puts (1 - 0.95) * 100 on the wrong side of 5, which silently moves a VaR by a
whole scenario. Confidence is therefore decimal text, and ranks are computed from fractions.

Source: `docs/reference/measures.md`, "Conventions"; Hull, Options, Futures and Other Derivatives,
ch. 22.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor

from risk_tasks.errors import InvalidSettingsError

_MAX_DIGITS = 20


class VarConvention(StrEnum):
    """Which order statistic of n outcomes a historical value-at-risk is."""

    #: the k-th worst with k = ceil(n * alpha); Hull, ORE, Riskfolio, QuantLib
    CONSERVATIVE = "conservative"
    #: the k-th worst with k = floor(n * alpha) + 1; McNeil-Frey-Embrechts, skfolio, Strata
    LOSS_QUANTILE = "loss_quantile"
    #: interpolated between order statistics at (n - 1) * alpha; numpy's default, empyrical, pandas
    LINEAR = "linear"


def parse_confidence(value: str | float | Decimal, *, field: str = "confidence") -> str:
    """Return `value` as canonical decimal text ("0.99"); it lies strictly between 0 and 1."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    exponent = number.as_tuple().exponent
    readable = isinstance(exponent, int) and exponent >= -_MAX_DIGITS
    if not readable or not 0 < number < 1:
        raise InvalidSettingsError(
            f"{value!r} is not a confidence.",
            field=field,
            remedy=f"Give a number between 0 and 1 of up to {_MAX_DIGITS} digits, such as 0.99.",
        )
    return format(number.normalize(), "f")


#: the same few questions are asked of every block
_remembered = lru_cache(maxsize=4096)


@_remembered
def tail_probability(confidence: str) -> Fraction:
    """Return alpha = 1 - confidence, exactly."""
    return 1 - Fraction(confidence)


@_remembered
def min_observations(confidence: str) -> int:
    """Return the shortest window that reaches the tail: ceil(1 / alpha)."""
    return ceil(1 / tail_probability(confidence))


@_remembered
def tail_rank(n_observations: int, confidence: str) -> int:
    """Return k = max(1, ceil(n * alpha)): how many worst outcomes an expected shortfall reads."""
    return max(1, ceil(n_observations * tail_probability(confidence)))


@_remembered
def var_position(n_observations: int, confidence: str, convention: VarConvention) -> Fraction:
    """Return where the VaR stands among the worst outcomes, counted from 0.

    A whole number is an order statistic; between two, the VaR is interpolated (LINEAR only).
    """
    convention = VarConvention(convention)
    alpha = tail_probability(confidence)
    if convention is VarConvention.CONSERVATIVE:
        return Fraction(tail_rank(n_observations, confidence) - 1)
    if convention is VarConvention.LOSS_QUANTILE:
        return Fraction(floor(n_observations * alpha))
    return (n_observations - 1) * alpha
