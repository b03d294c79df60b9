"""Kernels are compiled by one worker of a machine, and loaded by the others."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from itertools import pairwise

import numba
import pytest

from risk_tasks.roles import compiling


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache that nobody has filled."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def turns(monkeypatch):
    """When each worker compiled, from and to; nothing is really compiled."""
    seen = []

    def compile_kernels() -> int:
        began = time.monotonic()
        time.sleep(0.05)
        seen.append((began, time.monotonic()))
        return 3

    monkeypatch.setattr(compiling, "compile_kernels", compile_kernels)
    return seen


def test_a_cold_cache_is_filled_by_one_after_the_other(folder, turns):
    """Of four that start together no two compile at a time."""
    threads = [threading.Thread(target=compiling.compile_once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    turns.sort()
    assert len(turns) == 4
    assert all(ended <= began for (_, ended), (began, _) in pairwise(turns))


def test_on_a_warm_cache_nobody_waits(folder, turns):
    """Not even for one that holds the lock."""
    compiling.compile_once()
    with compiling._alone(folder / "risk-tasks-kernels"):
        assert compiling.compile_once() == 3


def test_a_cache_of_other_kernels_is_cold(folder, turns, monkeypatch):
    compiling.compile_once()
    monkeypatch.setattr(compiling, "ENGINE_VERSION", "another")

    assert not compiling._is_warm(folder / "risk-tasks-kernels")


def test_a_worker_that_was_killed_holds_nobody_up(folder, turns):
    """The lock ends with its process."""
    note = folder / "risk-tasks-kernels"
    code = (
        "import fcntl, sys, time; held = open(sys.argv[1]); "
        "fcntl.flock(held, fcntl.LOCK_EX); print(1, flush=True); time.sleep(60)"
    )
    note.touch()
    with subprocess.Popen([sys.executable, "-c", code, note], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        holder.kill()

    assert compiling.compile_once() == 3


def test_where_nothing_can_be_written_each_compiles_for_itself(turns, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "/proc/none")

    assert compiling.compile_once() == 3
