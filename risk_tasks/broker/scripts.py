"""The Lua beside this file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

#: what every script may call, in the order in which the parts need each other
_PRELUDE = ("settle", "dead")


@cache
def script(name: str) -> str:
    """Return the text of a script, after the functions that all of them share."""
    folder = files("risk_tasks.broker") / "lua"
    return "\n".join((folder / f"{part}.lua").read_text() for part in (*_PRELUDE, name))
