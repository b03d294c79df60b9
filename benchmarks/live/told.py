"""What was told of limits, held against what is so; it reads no clock and no server."""

from __future__ import annotations

from collections.abc import Mapping

from risk_tasks.model.live import LimitChange, LimitState


class Told:
    """Takes changes in their order, and keeps of each no more than the id of its event."""

    def __init__(self) -> None:
        self.n = 0
        self._mistakes: list[str] = []
        self._seen: set[str] = set()
        self._last: dict[tuple[str, str], tuple[int, LimitState]] = {}

    def add(self, change: LimitChange) -> None:
        """Note a change; told twice, out of order or from another state, it is a mistake."""
        key = change.portfolio_id, change.standing.limit
        version, state = self._last.get(key, (0, LimitState.OK))
        found = []
        if change.event_id in self._seen:
            found.append(f"{change.event_id} was told twice")
        if change.version < version:
            found.append(f"{key}: version {change.version} after {version}")
        if change.before != state or change.standing.state == state:
            found.append(f"{key}: {change.before} -> {change.standing.state}, and it was {state}")
        self._mistakes += found
        self._seen.add(change.event_id)
        self._last[key] = change.version, change.standing.state
        self.n += 1

    def mistakes(self, states: Mapping[tuple[str, str], LimitState]) -> list[str]:
        """Return a line for each mistake of the changes.

        And for each portfolio and limit of `states` that they do not lead to.
        """
        lasts = {key: self._last.get(key, (0, LimitState.OK))[1] for key in states}
        return self._mistakes + [
            f"{key} is {expected}, and was told to be {lasts[key]}"
            for key, expected in states.items()
            if lasts[key] != expected
        ]
