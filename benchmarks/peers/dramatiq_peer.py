"""Dramatiq over Redis, with its Redis result backend; a group sends many and waits for all."""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.peers import job, runner

broker = RedisBroker(url=runner.broker_url())
broker.add_middleware(Results(backend=RedisBackend(url=runner.broker_url())))
dramatiq.set_broker(broker)
ACTORS = {
    name: dramatiq.actor(function, actor_name=name, store_results=True)
    for name, function in job.JOBS.items()
}

_TIMEOUT_MS = runner.TIMEOUT_S * 1_000

# One thread computes while the other stores a result; the eight of its default contend.
WORKER = [
    *("-m", "dramatiq", "benchmarks.peers.dramatiq_peer"),
    *("--processes", str(runner.N_WORKERS), "--threads", "2"),
]


def batch(name: str, arguments: list[Any]) -> list[Any]:
    sent = dramatiq.group(ACTORS[name].message(argument) for argument in arguments).run()
    return list(sent.get_results(block=True, timeout=_TIMEOUT_MS))


def single(name: str, argument: Any) -> Any:
    return ACTORS[name].send(argument).get_result(block=True, timeout=_TIMEOUT_MS)


if __name__ == "__main__":
    runner.main("dramatiq", [WORKER], batch=batch, single=single)
