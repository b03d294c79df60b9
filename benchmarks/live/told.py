"""What was told of limits, held against what is so: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from risk_tasks.model.live import LimitChange, LimitState


def mistakes(
    changes: Iterable[LimitChange], states: Mapping[tuple[str, str], LimitState]
) -> list[str]:
    """Return a line for each change that is told twice, out of order or from another state.

    And for each portfolio and limit of `states` that the changes do not lead to.
    """
    found: list[str] = []
    seen: set[str] = set()
    last: dict[tuple[str, str], tuple[int, LimitState]] = {}
    for change in changes:
        key = change.portfolio_id, change.standing.limit
        version, state = last.get(key, (0, LimitState.OK))
        if change.event_id in seen:
            found.append(f"{change.event_id} was told twice")
        if change.version < version:
            found.append(f"{key}: version {change.version} after {version}")
        if change.before != state or change.standing.state == state:
            found.append(f"{key}: {change.before} -> {change.standing.state}, and it was {state}")
        seen.add(change.event_id)
        last[key] = change.version, change.standing.state
    for key, expected in states.items():
        _, state = last.get(key, (0, LimitState.OK))
        if state != expected:
            found.append(f"{key} is {expected}, and was told to be {state}")
    return found
