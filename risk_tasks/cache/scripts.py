"""The Lua beside this file, and how much it is given at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import redis

Item = TypeVar("Item")

#: what one script looks at, so that it does not hold the server for long
_KEYS_PER_SCRIPT = 500


def script(client: redis.Redis, name: str) -> Any:
    """Return a script, to be called with `keys` and `args`."""
    return client.register_script(_text(name))


def parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Cut what a script may be given into pieces."""
    for start in range(0, len(items), _KEYS_PER_SCRIPT):
        yield items[start : start + _KEYS_PER_SCRIPT]


@cache
def _text(name: str) -> str:
    return (files("risk_tasks.cache") / "lua" / f"{name}.lua").read_text()
