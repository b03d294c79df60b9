"""The local tier before the shared one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from risk_tasks.cache.counters import CacheCounters
from risk_tasks.cache.local import LocalTier
from risk_tasks.cache.shared import SharedTier
from risk_tasks.cache.tier import Found

Held = TypeVar("Held")


class TwoTiers:
    """The local tier is asked first, and keeps what the shared one has for the rest of its life."""

    def __init__(self, local: LocalTier, shared: SharedTier, counters: CacheCounters) -> None:
        self.local = local
        self.shared = shared
        self._counters = counters

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, in order, None where there is none; counted."""
        values = self.local.get_many(keys)
        if None not in values:
            return values
        there = self._look_up_shared(_absent(keys, values))
        self._counters.tally("shared", there)
        return _filled(values, [each.value if each is not None else None for each in there])

    def look_up(self, keys: Sequence[bytes]) -> list[Found | None]:
        """Return what is held of each key, in order; not counted."""
        here = self.local.look_up(keys)
        return _filled(here, self._look_up_shared(_absent(keys, here)))

    def set_many(
        self, entries: Mapping[bytes, bytes], ttl_s: float, *, cost_s: float = 0.0
    ) -> None:
        """Keep `entries` in both tiers for `ttl_s` seconds; each saves `cost_s` when found."""
        self.local.set_many(entries, ttl_s, cost_s=cost_s)
        self.shared.set_many(entries, ttl_s, cost_s=cost_s)

    def _look_up_shared(self, keys: Sequence[bytes]) -> list[Found | None]:
        found = self.shared.look_up(keys)
        self.local.keep(
            {key: each for key, each in zip(keys, found, strict=True) if each is not None}
        )
        return found


def _absent(keys: Sequence[bytes], here: Sequence[object]) -> list[bytes]:
    return [key for key, each in zip(keys, here, strict=True) if each is None]


def _filled(here: Sequence[Held | None], there: Sequence[Held | None]) -> list[Held | None]:
    """Fill the gaps of `here` with `there`, in order."""
    rest = iter(there)
    return [each if each is not None else next(rest) for each in here]
