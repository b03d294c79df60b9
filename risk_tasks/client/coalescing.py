"""Checks that share blocks: when to wait for company and when to go. No input or output.

A check goes out at once when nothing is under way, so that a lone one never waits. While something
is, those that come meanwhile gather until they are enough, or the first has waited long enough.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from risk_tasks.errors import InvalidSettingsError
from risk_tasks.model.number import as_finite

Item = TypeVar("Item")

_MAX_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class Company:
    """How many checks share a block at most, and how long the first waits for the others."""

    max_checks: int = 100
    max_wait_s: float = 0.002

    def __post_init__(self) -> None:
        if type(self.max_checks) is not int or self.max_checks < 1:
            raise InvalidSettingsError(
                f"{self.max_checks!r} is not a number of checks.",
                field="max_checks",
                remedy="Give a whole number, 1 at least.",
            )
        wait_s = as_finite(self.max_wait_s)
        if wait_s is None or not 0 <= wait_s <= _MAX_WAIT_S:
            raise InvalidSettingsError(
                f"{self.max_wait_s!r} is not a time to wait for company.",
                field="max_wait_s",
                remedy=f"Give seconds, from 0 to {_MAX_WAIT_S}.",
            )


@dataclass(slots=True)
class _Gathering(Generic[Item]):
    since: float
    items: list[Item] = field(default_factory=list)
    size: int = 0


class Coalescer(Generic[Item]):
    """Gathers items by kind; those of one kind may share a block. Time is an argument."""

    def __init__(self, company: Company) -> None:
        self._company = company
        self._gathering: dict[Hashable, _Gathering[Item]] = {}
        self._n_under_way = 0

    def began(self) -> None:
        """Something that others had better wait for is under way, until it has `arrived`."""
        self._n_under_way += 1

    def add(self, kind: Hashable, item: Item, now: float, size: int = 1) -> list[Item] | None:
        """Take `item` in; returns the block that is to go out now, which is then under way.

        A block of items that are several checks each may be larger than the bound by its last.
        """
        gathering = self._gathering.get(kind)
        if gathering is None:
            gathering = self._gathering[kind] = _Gathering(now)
        gathering.items.append(item)
        gathering.size += size
        if self._n_under_way == 0 or gathering.size >= self._company.max_checks:
            return self.leave(kind)
        return None

    def due(self, now: float) -> Iterator[tuple[Hashable, list[Item]]]:
        """Yield the blocks that have waited long enough, or that nothing is under way before."""
        for kind, gathering in list(self._gathering.items()):
            if self._n_under_way == 0 or now >= gathering.since + self._company.max_wait_s:
                yield kind, self.leave(kind)

    def arrived(self) -> None:
        """What was under way no longer is, whatever became of it."""
        self._n_under_way -= 1

    def next_at(self) -> float | None:
        """Return when the next block is due, None where nothing gathers."""
        since = [gathering.since for gathering in self._gathering.values()]
        return min(since) + self._company.max_wait_s if since else None

    def gathered(self, kind: Hashable) -> Sequence[Item]:
        """Return what gathers, in the order in which it came."""
        gathering = self._gathering.get(kind)
        return gathering.items if gathering else ()

    def leave(self, kind: Hashable) -> list[Item]:
        """Return what gathers as a block, which is then under way."""
        self._n_under_way += 1
        return self._gathering.pop(kind).items
