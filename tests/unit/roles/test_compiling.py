"""The kernels of a worker: the standard set first, the others by another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from risk_tasks.kernels.cache import Cache
from risk_tasks.kernels.catalogue import kernels
from risk_tasks.roles import compiling
from risk_tasks.roles.compiling import KernelSupply

N_STANDARD, N_OTHERS = map(len, kernels())
KEYS = [one.key for one in kernels()[1]]


@pytest.fixture(autouse=True)
def compiled():
    """Kernels are compiled before a test, so that none takes long, and none is left deferred."""
    everything = [one for some in kernels() for one in some]
    for one in everything:
        one.compile()
    yield
    for one in everything:
        one.compile()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache that lacks every kernel but those of the standard set."""
    monkeypatch.setattr(compiling, "FOLDER", tmp_path)
    for one in kernels()[0]:
        Cache(tmp_path).record(one.key)
    return tmp_path


@pytest.fixture
def compilers(monkeypatch):
    """The compiler processes that are started: programs that sleep, and compile nothing."""
    started = []

    class Compiler(subprocess.Popen):
        def __init__(self, command, **options):
            assert command[1:] == ["-m", "risk_tasks.kernels", str(os.getpid())]
            super().__init__([sys.executable, "-c", "import time; time.sleep(60)"], **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Compiler)
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def supplies():
    made = []

    def make() -> KernelSupply:
        made.append(KernelSupply())
        return made[-1]

    yield make
    for one in made:
        one.stop()


def wait_until(condition, timeout_s: float = 20.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def is_over(pid: int) -> bool:
    """Whether a process has ended, waited for by its parent or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_kernels_are_loaded_as_the_compiler_process_writes_them(folder, compilers, supplies):
    supply, states = supplies(), []
    supply.changed = lambda: states.append(supply.state)
    supply.prepare()
    assert supply.state == {"kernels_ready": N_STANDARD, "kernels": N_STANDARD + N_OTHERS}

    supply.start()
    wait_until(lambda: compilers)
    Cache(folder).record(KEYS[3])
    wait_until(lambda: supply.n_ready == N_STANDARD + 1)
    for key in KEYS:
        Cache(folder).record(key)
    wait_until(lambda: supply.n_ready == N_STANDARD + N_OTHERS)

    assert states[0]["kernels_ready"] == N_STANDARD + 1
    wait_until(lambda: states[-1]["kernels_ready"] == N_STANDARD + N_OTHERS)
    assert len(compilers) == 1


def test_workers_of_a_machine_have_one_compiler_process(folder, compilers, supplies):
    """The next one starts where the first was killed."""
    for _ in range(3):
        supply = supplies()
        supply.prepare()
        supply.start()
    wait_until(lambda: compilers)
    time.sleep(0.5)
    assert len(compilers) == 1

    os.kill(compilers[0].pid, signal.SIGKILL)

    wait_until(lambda: len(compilers) == 2)
    assert compilers[1].poll() is None


def test_a_worker_that_stops_ends_its_compiler_process(folder, compilers, supplies):
    supply = supplies()
    supply.prepare()
    supply.start()
    wait_until(lambda: compilers)

    supply.stop()

    assert compilers[0].poll() is not None


def test_a_warm_cache_needs_no_compiler_process(folder, compilers, supplies):
    for key in KEYS:
        Cache(folder).record(key)
    supply = supplies()

    supply.prepare()
    supply.start()

    assert supply.n_ready == supply.n_kernels
    wait_until(lambda: not supply._thread.is_alive())
    assert compilers == []


def test_without_a_writable_folder_the_worker_compiles_in_its_process(
    compilers, supplies, monkeypatch
):
    monkeypatch.setattr(compiling, "FOLDER", None)
    supply = supplies()

    supply.prepare()
    assert supply.n_ready == N_STANDARD
    supply.start()

    wait_until(lambda: supply.n_ready == supply.n_kernels)
    assert compilers == []


def test_a_compiler_process_ends_with_its_worker(tmp_path: Path):
    """Otherwise it would hold the lock and a core in vain."""
    program = (
        "import os, subprocess, sys\n"
        "command = [sys.executable, '-m', 'risk_tasks.kernels', str(os.getpid())]\n"
        "child = subprocess.Popen(command)\n"
        "print(child.pid, flush=True)\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment
    ) as worker:
        pid = int(worker.stdout.readline())
    wait_until(lambda: is_over(pid), 60)

    compiled = [line for path in tmp_path.glob("*/compiled") for line in path.open()]
    assert len(compiled) < N_STANDARD + N_OTHERS
