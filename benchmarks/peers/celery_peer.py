"""Celery as it comes: JSON messages, a Redis broker and result backend, a prefork pool.

A group is its way to send many and to wait for all; `task.delay(x).get()` to ask for one.
"""

from __future__ import annotations

from typing import Any

from celery import Celery, group

from benchmarks.peers import job, runner

app = Celery("peers", broker=runner.broker_url(), backend=runner.broker_url())
TASKS = {name: app.task(name=name)(function) for name, function in job.JOBS.items()}

WORKER = [
    *("-m", "celery", "--app", "benchmarks.peers.celery_peer", "worker"),
    *("--pool", "prefork", "--concurrency", str(runner.N_WORKERS), "--loglevel", "WARNING"),
]


def batch(name: str, arguments: list[Any]) -> list[Any]:
    sent = group(TASKS[name].s(argument) for argument in arguments).apply_async()
    return sent.get(timeout=runner.PATIENCE_S)


def single(name: str, argument: Any) -> Any:
    return TASKS[name].delay(argument).get(timeout=runner.PATIENCE_S)


if __name__ == "__main__":
    runner.main("celery", [WORKER], batch=batch, single=single, has_users=True)
