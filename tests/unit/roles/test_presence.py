"""Names of roles."""

from __future__ import annotations

import os

from risk_tasks.roles.presence import unique_name


def test_a_restarted_container_has_a_new_name():
    """Its host name and process id may equal those of the killed one."""
    names = {unique_name("worker") for _ in range(50)}

    assert len(names) == 50
    assert all(name.startswith(f"worker-{os.getpid()}-") for name in names)
