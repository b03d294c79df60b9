"""What every tier is: blocks of values by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Found(NamedTuple):
    """A value, how long it lives on, and what computing it cost, both in seconds."""

    value: bytes
    ttl_s: float
    cost_s: float


class Tier(Protocol):
    """Values by key, a block at a time; safe to share between threads.

    A tier forgets as it likes and never fails: what it cannot give is None, what it cannot keep is
    not kept. It gives for a key what was set for it last, or nothing.
    """

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key, in order, None where there is none; counted."""
        ...

    def look_up(self, keys: Sequence[bytes]) -> list[Found | None]:
        """Return what is held of each key, in order; not counted."""
        ...

    def set_many(
        self, entries: Mapping[bytes, bytes], ttl_s: float, *, cost_s: float = 0.0
    ) -> None:
        """Keep `entries` for `ttl_s` seconds, more than 0; each saves `cost_s` when it is found."""
        ...
