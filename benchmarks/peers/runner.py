"""The common parts of all peers: arguments, worker processes, timing, one JSON line."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any, Protocol

from benchmarks.peers import job

URL_VARIABLE = "PEERS_BROKER_URL"
N_WORKERS = 2
#: the longest time of one result, in seconds
TIMEOUT_S = 300

# Both processes must have loaded the market before the first round.
_N_WARM_UP = 400
_STOP_WITHIN_S = 10.0


class Single(Protocol):
    def __call__(self, job: str, argument: Any, /) -> Any: ...


class Batch(Protocol):
    def __call__(self, job: str, arguments: list[Any], /) -> list[Any]: ...


class Compute(Protocol):
    def __call__(self, arguments: list[Any], /) -> list[Any]: ...


@cache
def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker-url", required=True)
    parser.add_argument("--market", required=True, help="an .npz file that job.write_market wrote")
    parser.add_argument("--checks", type=int, required=True, help="jobs in a round")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--job", choices=job.JOBS, required=True)
    parser.add_argument("--mode", choices=("batch", "single", "users"), required=True)
    parser.add_argument("--users", type=int, default=8)
    return parser.parse_args()


def broker_url() -> str:
    """Return the server's address, and set it in the environment of the workers."""
    return os.environ.get(URL_VARIABLE) or str(_arguments().broker_url)


def main(
    package: str,
    workers: Sequence[Sequence[str]],
    *,
    batch: Batch,
    single: Single,
    has_users: bool = False,
    compute: Compute | None = None,
) -> None:
    """Start `workers`, each a list of arguments for Python, measure, and print one JSON line.

    `batch` and `single` send jobs by name and return their results, in order. `has_users` says
    that threads may call `single` side by side. `compute` returns the expected results where the
    workers do not run `job.JOBS`; both must agree to 1e-9.
    """
    options = _arguments()
    if options.mode == "users" and not has_users:
        raise SystemExit(f"{package} has no users mode.")
    os.environ |= {URL_VARIABLE: options.broker_url, job.MARKET_VARIABLE: options.market}
    # So that the workers are stopped if this process is terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    arguments = job.arguments(options.job, options.checks)
    expected = [job.JOBS[options.job](argument) for argument in arguments]
    if compute is not None:
        expected = _agreeing(compute(arguments), expected)
    # a batched peer has one message for many checks, and both processes must load the kernels
    warm_up = job.arguments(options.job, _N_WARM_UP if compute is None else 50 * _N_WARM_UP)

    seconds: list[float] = []
    latencies_ms: list[float] = []

    def timed(argument: Any) -> Any:
        started = time.perf_counter()
        result = single(options.job, argument)
        latencies_ms.append((time.perf_counter() - started) * 1e3)
        return result

    ways: dict[str, Callable[[], list[Any]]] = {
        "batch": lambda: batch(options.job, arguments),
        "single": lambda: [timed(argument) for argument in arguments],
        "users": lambda: _as_users(timed, arguments, options.users),
    }
    reported = {
        "batch": {"seconds": seconds},
        "single": {"latencies_ms": latencies_ms},
        "users": {"seconds": seconds, "latencies_ms": latencies_ms},
    }
    with _running(workers):
        single(options.job, warm_up[0])
        batch(options.job, warm_up)
        for _ in range(options.rounds):
            started = time.perf_counter()
            results = ways[options.mode]()
            seconds.append(time.perf_counter() - started)
            if results != expected:
                raise RuntimeError(f"{package} returned other results than its job does.")
    print(json.dumps({"peer": package, "version": version(package)} | reported[options.mode]))


def _agreeing(found: list[Any], expected: list[Any]) -> list[Any]:
    """Return `found`, which has the measures of `expected` to 1e-9 of the gross exposure."""
    for ours, theirs in zip(found, expected, strict=True):
        scale = theirs["gross_exposure"]
        for name, value in theirs.items():
            if abs(ours[name] - value) > 1e-9 * scale:
                raise RuntimeError(f"{name} is {ours[name]!r}: expected {value!r}.")
    return found


def _as_users(call: Callable[[Any], Any], arguments: list[Any], n_users: int) -> list[Any]:
    """Share `arguments` among threads, each of which awaits its results sequentially."""
    results: list[Any] = [None] * len(arguments)

    def user(number: int) -> None:
        for index in range(number, len(arguments), n_users):
            results[index] = call(arguments[index])

    with ThreadPoolExecutor(n_users) as pool:
        list(pool.map(user, range(n_users)))
    return results


@contextmanager
def _running(workers: Sequence[Sequence[str]]) -> Iterator[None]:
    # Their output goes to stderr: stdout carries only the JSON line.
    processes = [
        subprocess.Popen([sys.executable, *worker], stdin=subprocess.DEVNULL, stdout=sys.stderr)
        for worker in workers
    ]
    stopping = threading.Event()

    def watch(process: subprocess.Popen[bytes]) -> None:
        process.wait()
        if not stopping.is_set():
            # No worker is left to answer, so this process ends.
            print(f"The workers ended with {process.returncode}.", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGTERM)

    for process in processes:
        threading.Thread(target=watch, args=(process,), daemon=True).start()
    try:
        yield
    finally:
        stopping.set()
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
