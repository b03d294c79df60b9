"""Celery with its defaults: JSON messages, a Redis broker and result backend, a prefork pool.

All messages are sent, and then each result is read by its own `get`. A group does the same at a
higher price: a signature for each job, and a wait that polls every half second.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from benchmarks.peers import job, runner

app = Celery("peers", broker=runner.broker_url(), backend=runner.broker_url())
TASKS = {name: app.task(name=name)(function) for name, function in job.JOBS.items()}

WORKER = [
    *("-m", "celery", "--app", "benchmarks.peers.celery_peer", "worker"),
    *("--pool", "prefork", "--concurrency", str(runner.N_WORKERS), "--loglevel", "WARNING"),
]


def batch(name: str, arguments: list[Any]) -> list[Any]:
    sent = [TASKS[name].delay(argument) for argument in arguments]
    return [result.get(timeout=runner.TIMEOUT_S) for result in sent]


def single(name: str, argument: Any) -> Any:
    return TASKS[name].delay(argument).get(timeout=runner.TIMEOUT_S)


if __name__ == "__main__":
    runner.main("celery", [WORKER], batch=batch, single=single, has_users=True)
