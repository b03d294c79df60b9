"""Decisions by limits, for one limit and one portfolio at a time.

A limit is a mapping of `id, measure, warn, hard, applies_to, missing_data, comparison,
short_window`, where `applies_to` is a list of values by tag. A measure is `(value, reason)`; the
value is None if it is undefined. `short` names the measures with too few past outcomes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

Limit = Mapping[str, Any]
Measures = Mapping[str, tuple[float | None, str | None]]


def applies(limit: Limit, portfolio_id: str, tags: Mapping[str, str]) -> bool:
    """Whether each tag of the limit has one of its values."""
    known = {**tags, "portfolio_id": portfolio_id}
    for tag, values in limit["applies_to"].items():
        if tag not in known or known[tag] not in values:
            return False
    return True


def size(limit: Limit, observed: float) -> float:
    """The number that is compared with the threshold: the value or its magnitude."""
    return abs(observed) if limit["comparison"] == "absolute" else observed


def passes(limit: Limit, observed: float, threshold: float | None) -> bool:
    """Whether the number passes the threshold; an equal number does not."""
    if threshold is None:
        return False
    if limit["comparison"] == "below":
        return observed < threshold
    return size(limit, observed) > threshold


def utilisation(limit: Limit, observed: float, threshold: float) -> float | None:
    """Observed / threshold, for a minimum threshold / observed; None if undefined.

    It is undefined if the divisor is not positive or the result overflows.
    """
    over, under = size(limit, observed), threshold
    if limit["comparison"] == "below":
        over, under = threshold, observed
    if under <= 0 or not math.isfinite(over / under):
        return None
    return over / under


def evaluate(
    limits: Sequence[Limit] | None,
    portfolio_id: str,
    tags: Mapping[str, str],
    measures: Measures,
    short: Collection[str] = (),
) -> tuple[str, int, list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the decision, the number of limits compared, all breaches, and the other limits.

    `accept` needs a limit that applies and was compared.
    """
    severity = 0
    breaches: list[dict[str, Any]] = []
    not_evaluated: list[dict[str, Any]] = []
    n_compared = 0
    for limit in limits or ():
        if not applies(limit, portfolio_id, tags):
            continue
        observed, reason = measures[limit["measure"]]
        if observed is None:
            not_evaluated.append(
                {"limit": limit["id"], "reason": reason, "missing_data": limit["missing_data"]}
            )
            if limit["missing_data"] == "reject":
                severity = max(severity, 2 if limit["hard"] is None else 3)
            elif limit["missing_data"] == "warn":
                severity = max(severity, 2)
            continue
        n_compared += 1
        severity = max(severity, 1)
        for kind, weight in (("hard", 3), ("warn", 2)):
            if passes(limit, observed, limit[kind]):
                breaches.append(
                    {
                        "limit": limit["id"],
                        "severity": kind,
                        "observed": observed,
                        "threshold": limit[kind],
                        "utilisation": utilisation(limit, observed, limit[kind]),
                    }
                )
                severity = max(severity, weight)
                break
        rule = limit["short_window"]
        if limit["measure"] in short and rule != "use":
            not_evaluated.append(
                {"limit": limit["id"], "reason": "short_window", "missing_data": rule}
            )
            severity = max(severity, 3 if rule == "reject" else 2)
    return ("none", "accept", "warn", "reject")[severity], n_compared, breaches, not_evaluated
