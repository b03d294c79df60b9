"""Compiles the kernels of a worker: the standard set before it serves, the others elsewhere.

Numba holds the interpreter's lock while it compiles, and a worker could not answer meanwhile. So
another process compiles.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from risk_tasks.kernels import jit
from risk_tasks.kernels.cache import FOLDER, Cache
from risk_tasks.kernels.catalogue import compile_one, kernels
from risk_tasks.kernels.jit import Specialization
from risk_tasks.log import log

_LOOK_EVERY_S = 0.05
#: how long after a compiler process that failed the next one is started
_RETRY_AFTER_S = 10.0


class KernelSupply:
    """Makes kernels ready to be called in this process.

    `prepare` returns once the standard set is ready. From `start` to `stop` a thread loads what a
    compiler process writes to the cache. A machine has one such process, of the lowest priority.
    Without a writable folder, the thread compiles in this process. `n_ready` of `n_kernels` can be
    called without waiting; `changed` is called when that number has changed.
    """

    def __init__(self) -> None:
        self._standard, self._others = kernels()
        self.n_kernels = len(self._standard) + len(self._others)
        self._cache = None if FOLDER is None else Cache(FOLDER)
        self.changed: Callable[[], None] = lambda: None
        self._compiler: subprocess.Popen[bytes] | None = None
        self._retry_at_s = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kernels", daemon=True)

    @property
    def n_ready(self) -> int:
        return self.n_kernels - len(self._others)

    @property
    def state(self) -> dict[str, int]:
        """The fields about kernels in the worker's entry of the running roles."""
        return {"kernels_ready": self.n_ready, "kernels": self.n_kernels}

    def prepare(self) -> None:
        """Compile the standard set, and load what the cache has."""
        log.info("worker.compiling")
        started, keys = time.perf_counter(), self._compiled()
        if all(one.key in keys for one in self._standard):
            compiled = sum(one.compile() for one in self._standard)
        else:
            compiled = self._compile_standard()
        for one in self._others:
            one.defer()
        self._load()
        took_s = round(time.perf_counter() - started, 3)
        log.info("worker.compiled", compiled=compiled, **self.state, took_s=took_s)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        if self._compiler is not None and self._compiler.poll() is None:
            self._compiler.kill()  # the cache has no half files
            self._compiler.wait()

    def _compile_standard(self) -> int:
        """Of the workers that start together, one compiles; the others then load."""
        if self._cache is None:
            return sum(compile_one(one, None) for one in self._standard)
        with self._cache.lock():
            return sum(compile_one(one, self._cache) for one in self._standard)

    def _run(self) -> None:
        started = time.perf_counter()
        while self._others and not self._stopped.wait(_LOOK_EVERY_S):
            try:
                self._step()
            except Exception:
                # Checks would wait for kernels in vain if this thread ended.
                log.exception("worker.kernels_failed")
                self._stopped.wait(_RETRY_AFTER_S)
        if not self._others:
            took_s = round(time.perf_counter() - started, 3)
            log.info("worker.kernels_ready", kernels=self.n_kernels, took_s=took_s)

    def _step(self) -> None:
        n_before = len(self._others)
        if self._cache is None:
            self._compile(
                next((one for one in jit.requested if one in self._others), self._others[0])
            )
        else:
            self._request(self._cache)
            self._compile_elsewhere(self._cache)
            self._load()
        if len(self._others) < n_before:
            self.changed()

    def _request(self, cache: Cache) -> None:
        """Request the kernels that checks wait for from the compiler process."""
        while jit.requested:
            cache.request(jit.requested.pop(0).key)

    def _compile_elsewhere(self, cache: Cache) -> None:
        if self._compiler is not None and self._compiler.poll() is not None:
            if self._compiler.returncode:
                self._retry_at_s = time.monotonic() + _RETRY_AFTER_S
                log.warning("worker.compiler_failed", exit_code=self._compiler.returncode)
            self._compiler = None
        if self._compiler is not None or time.monotonic() < self._retry_at_s:
            return
        lock = cache.try_lock()
        if lock is None:
            return
        with lock:
            # The process keeps the lock until it ends, even if this worker is killed.
            self._compiler = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-m", "risk_tasks.kernels", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[lock.fileno()],
            )

    def _load(self) -> None:
        keys = self._compiled()
        for one in [one for one in self._others if one.key in keys]:
            self._compile(one)

    def _compile(self, one: Specialization) -> None:
        one.compile()
        self._others.remove(one)

    def _compiled(self) -> set[str]:
        return set() if self._cache is None else self._cache.compiled()
