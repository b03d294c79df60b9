"""The lock for work on the processor: short pieces one by one, long ones in parallel."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from risk_tasks.client.connection import Connection
from risk_tasks.client.table_input import LONG_ROWS
from risk_tasks.errors import InvalidTableError


def test_short_work_runs_one_by_one():
    """Of two threads, the second begins when the first has ended."""
    connection, seen, holding, may_end = (
        Connection("redis://nowhere:1/0", "", replicas_required=0, timeout_s=5.0),
        [],
        threading.Event(),
        threading.Event(),
    )

    def first():
        with connection.cpu_lock(10):
            holding.set()
            may_end.wait(10)
            seen.append("first")

    def second():
        holding.wait(10)
        may_end.set()
        with connection.cpu_lock(LONG_ROWS - 1):
            seen.append("second")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda work: work(), [first, second]))

    assert seen == ["first", "second"]


def test_long_work_takes_no_lock():
    """In one thread, which would wait for itself."""
    connection = Connection("redis://nowhere:1/0", "", replicas_required=0, timeout_s=5.0)

    with connection.cpu_lock(LONG_ROWS), connection.cpu_lock(10), connection.cpu_lock(LONG_ROWS):
        pass


def test_the_lock_is_released_after_an_error():
    connection = Connection("redis://nowhere:1/0", "", replicas_required=0, timeout_s=5.0)

    with pytest.raises(InvalidTableError), connection.cpu_lock(1):
        raise InvalidTableError("Not a table.")

    with connection.cpu_lock(1):
        pass
