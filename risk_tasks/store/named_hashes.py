"""Hashes of one kind whose names are listed: a scan would look at every key of the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import redis

from risk_tasks.connection import text
from risk_tasks.scripts import Script


def read_named(
    client: redis.Redis, names_key: str, key_of: Callable[[str], str]
) -> dict[str, dict[str, str]]:
    """Return the hashes that are there by name, in the order of the names; forget the others."""
    names = sorted(map(text, cast("set[bytes]", client.smembers(names_key))))
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(key_of(name))
        entries = pipe.execute()
    found = {
        name: {text(field): text(value) for field, value in entry.items()}
        for name, entry in zip(names, entries, strict=True)
        if entry
    }
    gone = [name for name in names if name not in found]
    if gone:
        forget_gone(client, names_key, key_of, gone)
    return found


def forget_gone(
    client: redis.Redis, names_key: str, key_of: Callable[[str], str], names: Sequence[str]
) -> None:
    """Take those of `names` off their list whose hash is not there at this moment."""
    Script(client, "risk_tasks.store", "named_hashes")(
        keys=[names_key, *map(key_of, names)], args=list(names)
    )
