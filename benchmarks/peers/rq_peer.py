"""RQ with simple workers, which compute in their own process; `enqueue_many` sends all at once."""

from __future__ import annotations

from typing import Any

from redis import Redis
from rq import Queue
from rq.job import Job
from rq.results import Result

from benchmarks.peers import job, runner

# Without one, each job is described by the text of its whole portfolio.
_DESCRIPTION = "a job"

queue = Queue("peers", connection=Redis.from_url(runner.broker_url()))

# A worker per process; a simple worker computes in its own process instead of a fork.
WORKER = [
    *("-m", "rq.cli", "worker", "peers", "--url", runner.broker_url(), "--quiet"),
    *("--worker-class", "rq.worker.SimpleWorker"),
]


def _result(sent: Job) -> Any:
    result = sent.latest_result(timeout=runner.TIMEOUT_S)
    if result is None or result.type is not Result.Type.SUCCESSFUL:
        raise RuntimeError(f"{sent} has no result.")
    return result.return_value


def batch(name: str, arguments: list[Any]) -> list[Any]:
    function = job.JOBS[name]
    sent = queue.enqueue_many(
        Queue.prepare_data(function, (argument,), description=_DESCRIPTION)
        for argument in arguments
    )
    return [_result(one) for one in sent]


def single(name: str, argument: Any) -> Any:
    return _result(queue.enqueue(job.JOBS[name], argument, description=_DESCRIPTION))


if __name__ == "__main__":
    runner.main("rq", [WORKER] * runner.N_WORKERS, batch=batch, single=single)
