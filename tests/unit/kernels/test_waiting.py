"""Calls that wait for kernels, and the folder of compiled kernels."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

import numba
import numpy as np
import pytest

from risk_tasks.kernels import cache, jit
from risk_tasks.kernels.cache import Cache, open_folder
from risk_tasks.kernels.catalogue import compile_kernels, kernels
from risk_tasks.kernels.jit import Kernel, KernelNotReadyError, Specialization, kernels_until
from risk_tasks.kernels.positions import exposure
from tests.unit.kernels.test_jit_modes import JIT_IS_OFF

pytestmark = pytest.mark.skipif(JIT_IS_OFF, reason="without JIT nothing is compiled")

OFFSETS, VALUE = np.array([0, 2], dtype=np.int64), np.array([3.0, -1.0])


@pytest.fixture
def deferred():
    """A kernel that this process has not compiled, as in a worker with an empty cache."""
    assert isinstance(exposure, Kernel)
    (one,) = exposure.specializations()
    one.defer()
    jit.requested.clear()
    yield one
    one.compile()
    jit.requested.clear()


def call() -> list[float]:
    out = np.empty((1, 4))
    exposure(OFFSETS, VALUE, out)
    return out[0].tolist()


def test_a_call_waits_until_its_kernel_is_compiled(deferred: Specialization) -> None:
    threading.Timer(0.2, deferred.compile).start()
    started = time.monotonic()

    with kernels_until(time.monotonic() + 30):
        assert call() == [2.0, 3.0, 1.0, 4.0]

    assert time.monotonic() - started >= 0.2
    assert jit.requested == [deferred]


def test_a_call_whose_kernel_is_not_compiled_by_its_deadline_raises(
    deferred: Specialization,
) -> None:
    started = time.monotonic()

    with kernels_until(started + 0.1), pytest.raises(KernelNotReadyError, match="exposure"):
        call()

    assert 0.1 <= time.monotonic() - started < 5


def test_other_kernels_do_not_wait(deferred: Specialization) -> None:
    standard, _ = kernels()
    (other,) = (one for one in standard if one.kernel.name == "concentration")
    out = np.empty((1, 2))

    with kernels_until(time.monotonic()):
        other.kernel(OFFSETS, VALUE, np.array([4.0]), out)

    assert out.tolist() == [[0.75, 0.625]]


def test_a_panel_in_float32_is_compiled_last() -> None:
    standard, others = kernels()

    assert not any("float32" in one.key for one in standard)
    assert ["float32" in one.key for one in others] == [False] * (len(others) - 2) + [True] * 2
    assert len({one.key for one in standard + others}) == len(standard + others)


def test_a_kernel_that_another_process_waits_for_is_compiled_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risk_tasks.kernels.catalogue.FOLDER", tmp_path)
    _, others = kernels()
    Cache(tmp_path).request(others[-1].key)

    compile_kernels()

    keys = (tmp_path / "compiled").read_text().splitlines()
    assert keys[0] == others[-1].key
    assert len(keys) == len(set(keys)) == sum(map(len, kernels()))


def test_two_processes_do_not_compile_at_a_time(tmp_path: Path) -> None:
    one, other = Cache(tmp_path), Cache(tmp_path)

    with one.lock():
        assert other.try_lock() is None
    held = other.try_lock()

    assert held is not None
    held.close()


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make all folders but the temporary one unusable, and return that."""
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(blocked / "x"))
    monkeypatch.setattr(cache, "_SOURCES", blocked)
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked / "y"))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return temporary


def test_the_folder_in_numba_cache_dir_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path))

    folder = open_folder()

    assert folder is not None
    assert folder.parent == tmp_path


def test_without_another_writable_folder_a_private_temporary_folder_is_used(
    nowhere: Path,
) -> None:
    folder = open_folder()

    assert folder is not None
    assert folder.parent.parent == nowhere
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_a_temporary_folder_that_others_can_write_to_is_not_used(nowhere: Path) -> None:
    """Otherwise a worker would run machine code of another user."""
    (nowhere / f"risk-tasks-{os.getuid()}").mkdir()
    (nowhere / f"risk-tasks-{os.getuid()}").chmod(0o770)

    assert open_folder() is None


def test_a_symbolic_link_as_temporary_folder_is_not_used(nowhere: Path) -> None:
    (nowhere / "elsewhere").mkdir(mode=0o700)
    (nowhere / f"risk-tasks-{os.getuid()}").symlink_to(nowhere / "elsewhere")

    assert open_folder() is None


def test_other_sources_have_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path / "cache"))
    before = open_folder()
    (tmp_path / "kernel.py").touch()
    monkeypatch.setattr(cache, "_SOURCES", tmp_path)

    assert open_folder() != before
