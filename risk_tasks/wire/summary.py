"""What those who watch are shown of a message: ids and counts, never what anybody holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_LONGEST_ID = 40


def block_summary(lane: str, ids: Sequence[object]) -> str:
    """Return one line about the checks of `ids`, at least one, in the order of their block."""
    first, n_checks = shown_id(ids[0]), len(ids)
    if n_checks == 1:
        return f"{lane}: 1 check, {first}"
    return f"{lane}: {n_checks} checks, {first} to {shown_id(ids[-1])}"


def request_summary(lane: str, args: Sequence[object], request: Mapping[str, Any]) -> str:
    """Return one line about a request of the JSON door, as badly made as it may be."""
    portfolio = request.get("portfolio", args[0] if args else None)
    if not isinstance(portfolio, Mapping):
        return f"{lane}: 1 check, {shown_id(portfolio) if isinstance(portfolio, str) else '?'}"
    positions = portfolio.get("positions")
    n_positions = len(positions) if isinstance(positions, Mapping | list) else 0
    held = "1 position" if n_positions == 1 else f"{n_positions} positions"
    return f"{lane}: 1 check, {shown_id(portfolio.get('id'))}, {held}"


def change_summary(lane: str, args: Sequence[object], request: Mapping[str, Any]) -> str:
    """Return one line about a change of a live portfolio, as badly made as it may be."""
    portfolio, deltas = request.get("portfolio"), request.get("deltas")
    held = portfolio if isinstance(portfolio, Mapping) else {}
    changed = deltas if isinstance(deltas, Mapping) else held.get("positions")
    n = len(changed) if isinstance(changed, Mapping | list) else 0
    name = shown_id(request.get("portfolio_id", held.get("id", "?")))
    return f"{lane}: {name}, {'1 position' if n == 1 else f'{n} positions'}"


def report_summary(report: Mapping[str, Any]) -> str:
    """Return one line about the report of a check, as the JSON door gives it."""
    breaches = report.get("breaches") or ()
    outcome = report.get("code") or report.get("decision")
    broken = "1 breach" if len(breaches) == 1 else f"{len(breaches)} breaches"
    return f"{shown_id(report.get('portfolio_id'))}: {outcome}, {broken}"


def shown_id(value: object) -> str:
    """Return an id as one short printable text; a caller may have put anything in it."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value)[:_LONGEST_ID])
    return text + "..." if len(str(value)) > _LONGEST_ID else text
