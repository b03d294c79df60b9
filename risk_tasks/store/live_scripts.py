"""The Lua of live portfolios."""

from __future__ import annotations

from importlib.resources import files

import redis
from redis.commands.core import Script

#: what every script may call, in the order in which the parts need each other
_PRELUDE = ("live", "changes")


def live_script(client: redis.Redis, name: str) -> Script:
    """Return the script of this name, after the functions that all of them share."""
    folder = files("risk_tasks.store") / "lua" / "live"
    text = "\n".join((folder / f"{part}.lua").read_text() for part in (*_PRELUDE, name))
    return client.register_script(text)
