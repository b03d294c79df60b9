"""One check at a time on the critical lane, compared with other queues' no-ops and a bare echo."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from benchmarks import inputs
from benchmarks.output import print_percentiles, write
from benchmarks.peers.run import measure
from benchmarks.watching import watched
from risk_tasks.client import RiskClient
from risk_tasks.embedding import FleetPlan, running_fleet

N_CALLS, N_ROUNDS, PEERS = 400, 3, ("celery", "huey", "dramatiq")


def _echo(url: str) -> None:
    client = redis.Redis.from_url(url, socket_timeout=None)
    while True:
        _, message = client.brpop(["echo:there"])
        client.lpush("echo:back", message)


@contextmanager
def _echoing(url: str) -> Iterator[redis.Redis]:
    process = multiprocessing.get_context("spawn").Process(target=_echo, args=(url,))
    process.start()
    try:
        with redis.Redis.from_url(url) as client:
            yield client
    finally:
        process.terminate()
        process.join()


def run() -> None:
    snapshot, (portfolio,) = inputs.market(250), inputs.portfolios(1)
    ways = ("a check", "a check, events and Flower", "a bare echo", *PEERS)
    ms: dict[str, list[float]] = {name: [] for name in ways}
    plan = FleetPlan(n_workers=2, critical_worker=True, scheduler=True)
    for _ in range(N_ROUNDS):
        with running_fleet(plan) as fleet, RiskClient(fleet.url) as risk:
            risk.publish_market(snapshot)

            def check() -> object:
                return risk.check(portfolio, priority="critical")

            _time(check, 100)
            ms["a check"] += _time(check, N_CALLS)
            with tempfile.TemporaryDirectory() as folder, watched(fleet.url, Path(folder), check):
                ms["a check, events and Flower"] += _time(check, N_CALLS)
            with _echoing(fleet.url) as client:
                _time(lambda: _call(client), 50)
                ms["a bare echo"] += _time(lambda: _call(client), N_CALLS)
        for name in PEERS:
            measured = measure(name, snapshot, job="noop", mode="single", n_checks=N_CALLS)
            ms[name] += measured["latencies_ms"]
    medians = print_percentiles("ms, one call at a time", ms)
    for name in ms:
        print(f"a check p50 is {medians['a check'] / medians[name]:.2f}x {name}")
    write("latency", {"calls": N_CALLS, "rounds": N_ROUNDS}, ms)


def _time(call: Callable[[], object], n: int) -> list[float]:
    took = []
    for _ in range(n):
        started = time.perf_counter()
        call()
        took.append((time.perf_counter() - started) * 1e3)
    return took


def _call(client: redis.Redis) -> None:
    client.lpush("echo:there", b"x")
    client.brpop(["echo:back"])
