"""The Lua of live portfolios, and of what outdates their reports."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import redis
from redis.commands.core import Script
from redis.exceptions import NoScriptError

_LUA = files("risk_tasks.store") / "lua"


def live_script(client: redis.Redis, name: str) -> Script:
    """Return the script of live portfolios of this name."""
    return _script(client, "live/live", "live/changes", f"live/{name}")


def publishing_script(client: redis.Redis, name: str) -> Script:
    """Return the script that makes a market or a limit set, as `name` says, a current one."""
    return _script(client, "live/live", f"publish_{name}")


def _script(client: redis.Redis, *parts: str) -> Script:
    """Return one script of `parts`, in the order in which they need each other."""
    return client.register_script("\n".join((_LUA / f"{part}.lua").read_text() for part in parts))


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
