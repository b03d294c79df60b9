"""Huey over Redis with process workers; `task.map` sends many."""

from __future__ import annotations

from typing import Any

from huey import RedisHuey

from benchmarks.peers import job, runner

huey = RedisHuey("peers", url=runner.broker_url())
TASKS = {name: huey.task()(function) for name, function in job.JOBS.items()}

# It waits for a result by polling, by default after 50 ms and with growing pauses.
_POLL_S = 0.001

WORKER = [
    *("-m", "huey.bin.huey_consumer", "benchmarks.peers.huey_peer.huey"),
    *("-w", str(runner.N_WORKERS), "-k", "process", "--graceful-signal", "TERM", "--quiet"),
]


def batch(name: str, arguments: list[Any]) -> list[Any]:
    sent = TASKS[name].map(arguments)
    return sent.get(blocking=True, timeout=runner.TIMEOUT_S, max_delay=_POLL_S)


def single(name: str, argument: Any) -> Any:
    sent = TASKS[name](argument)
    return sent.get(blocking=True, timeout=runner.TIMEOUT_S, max_delay=_POLL_S)


if __name__ == "__main__":
    runner.main("huey", [WORKER], batch=batch, single=single)
