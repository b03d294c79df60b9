"""Whose turn it is to work: short pieces of work one by one, long ones beside them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from risk_tasks.client.coalescing import LONG_ROWS, Turns
from risk_tasks.errors import InvalidTableError


def test_short_work_waits_for_its_turn():
    """Of two threads, the second begins when the first has ended."""
    turns, seen, holding, may_end = Turns(), [], threading.Event(), threading.Event()

    def first():
        with turns.of(10):
            holding.set()
            may_end.wait(10)
            seen.append("first")

    def second():
        holding.wait(10)
        may_end.set()
        with turns.of(LONG_ROWS - 1):
            seen.append("second")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda work: work(), [first, second]))

    assert seen == ["first", "second"]


def test_long_work_neither_waits_nor_is_waited_for():
    """Both ways round, in one thread, which would wait for itself."""
    turns = Turns()

    with turns.of(LONG_ROWS), turns.of(10), turns.of(LONG_ROWS):
        pass


def test_a_turn_ends_with_an_error():
    """The next one has it."""
    turns = Turns()

    with pytest.raises(InvalidTableError), turns.of(1):
        raise InvalidTableError("Not a table.")

    with turns.of(1):
        pass
