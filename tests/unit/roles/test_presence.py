"""How roles are called."""

from __future__ import annotations

import os

from risk_tasks.roles.presence import name_of_a_life


def test_the_next_life_of_a_container_has_another_name():
    """Its host name and process id may be those of the one that was killed."""
    names = {name_of_a_life("worker") for _ in range(50)}

    assert len(names) == 50
    assert all(name.startswith(f"worker-{os.getpid()}-") for name in names)
