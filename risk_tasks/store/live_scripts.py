"""The Lua of live portfolios."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import redis
from redis.commands.core import Script
from redis.exceptions import NoScriptError

#: what every script may call, in the order in which the parts need each other
_PRELUDE = ("live", "changes")


def live_script(client: redis.Redis, name: str) -> Script:
    """Return the script of this name, after the functions that all of them share."""
    folder = files("risk_tasks.store") / "lua" / "live"
    text = "\n".join((folder / f"{part}.lua").read_text() for part in (*_PRELUDE, name))
    return client.register_script(text)


def call_each(
    client: redis.Redis, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]
) -> list[Any]:
    """Call `script` with keys and arguments of each of `calls`, all in one round trip."""
    try:
        return _call_each(client, script, calls)
    except NoScriptError:
        client.script_load(script.script)
        return _call_each(client, script, calls)


def _call_each(
    client: redis.Redis, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]
) -> list[Any]:
    with client.pipeline(transaction=False) as pipe:
        for keys, args in calls:
            pipe.execute_command("EVALSHA", script.sha, len(keys), *keys, *args)  # type: ignore[no-untyped-call]
        return list(pipe.execute())
