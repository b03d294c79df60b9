"""How much the scripts of the cache are given at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import redis

from risk_tasks.scripts import Script

Item = TypeVar("Item")

#: what one script looks at, so that it does not hold the server for long
_KEYS_PER_SCRIPT = 500


def script(client: redis.Redis, name: str) -> Script:
    """Return a script, to be called with `keys` and `args`."""
    return Script(client, "risk_tasks.cache", name)


def parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Cut what a script may be given into pieces."""
    for start in range(0, len(items), _KEYS_PER_SCRIPT):
        yield items[start : start + _KEYS_PER_SCRIPT]
