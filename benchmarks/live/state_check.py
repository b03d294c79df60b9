"""Compares the changes of state that were read with the true states: no clock, no server."""

from __future__ import annotations

from collections.abc import Mapping

from risk_tasks.model.live import LimitChange, LimitState


class StateCheck:
    """Checks changes in their order, and keeps only the id of the last event of each limit."""

    def __init__(self) -> None:
        self.n = 0
        self._mistakes: list[str] = []
        self._seen: set[str] = set()
        self._last: dict[tuple[str, str], tuple[int, LimitState]] = {}

    def add(self, change: LimitChange) -> None:
        """Record a change; a repeat, a wrong order or a wrong previous state is a mistake."""
        key = change.portfolio_id, change.standing.limit
        version, state = self._last.get(key, (0, LimitState.OK))
        found = []
        if change.event_id in self._seen:
            found.append(f"{change.event_id} was read twice")
        if change.version < version:
            found.append(f"{key}: version {change.version} after {version}")
        if change.before != state or change.standing.state == state:
            found.append(f"{key}: {change.before} -> {change.standing.state}, and it was {state}")
        self._mistakes += found
        self._seen.add(change.event_id)
        self._last[key] = change.version, change.standing.state
        self.n += 1

    def mistakes(self, states: Mapping[tuple[str, str], LimitState]) -> list[str]:
        """Return a line for each mistake, and for each state that the changes do not lead to."""
        lasts = {key: self._last.get(key, (0, LimitState.OK))[1] for key in states}
        return self._mistakes + [
            f"{key} is {expected}, and was read as {lasts[key]}"
            for key, expected in states.items()
            if lasts[key] != expected
        ]
