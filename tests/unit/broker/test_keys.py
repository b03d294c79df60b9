"""Every key that code or Lua uses is in the table of `risk_tasks.keys`."""

from __future__ import annotations

import re
from pathlib import Path

import risk_tasks
from risk_tasks import keys
from risk_tasks.queues import Lane

OF_A_LANE = {"lane_key", "shard_leases_key", "shard_workers_key"}


def stem(key: str) -> str:
    """Return the constant part of a key."""
    return re.sub(r"[A-Z]+$", "", key)


KNOWN = {stem(row.split()[0]) for row in keys.__doc__.splitlines() if row.startswith("risk:")}


def test_every_key_in_a_script_is_in_the_table():
    """A key is defined in one place."""
    spelt = {
        (script.name, key)
        for script in Path(risk_tasks.__file__).parent.rglob("*.lua")
        for key in re.findall(r"'(risk:[a-z_:]+)'", script.read_text())
    }

    assert spelt
    assert {(name, key) for name, key in spelt if key not in KNOWN} == set()


def test_every_key_in_python_is_in_the_table():
    """In constants and in functions."""
    constants = {value for name, value in vars(keys).items() if name.endswith("_KEY")}
    functions = {
        stem(function(Lane.NORMAL if name in OF_A_LANE else "ID"))
        for name, function in vars(keys).items()
        if name.endswith("_key") and name not in {"waiting_key", "live_event_key"}
    }

    assert {
        key for key in constants | functions if key.removesuffix("normal") not in KNOWN
    } == set()
