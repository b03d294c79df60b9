"""Taskiq over a Redis list, with its Redis result backend.

It has no call that sends many: a few concurrent coroutines send and read.
"""

from __future__ import annotations

import asyncio
from typing import Any

from taskiq import AsyncTaskiqTask
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from benchmarks.peers import job, runner

_N_SENDERS = 16
# It waits for a result by polling, by default after 200 ms.
_POLL_S = 0.001

serializer = ORJSONSerializer()
broker = (
    ListQueueBroker(runner.broker_url())
    .with_result_backend(RedisAsyncResultBackend(runner.broker_url(), serializer=serializer))
    .with_serializer(serializer)
)


# Coroutines, because an ordinary function goes through a pool of threads.
@broker.task(task_name="check")
async def check(portfolio: dict[str, Any]) -> dict[str, float]:
    return job.check(portfolio)


@broker.task(task_name="noop")
async def noop(argument: Any) -> Any:
    return job.noop(argument)


TASKS = {"check": check, "noop": noop}

WORKER = [
    *("-m", "taskiq", "worker", "benchmarks.peers.taskiq_peer:broker"),
    *("--workers", str(runner.N_WORKERS), "--no-parse", "--log-level", "WARNING"),
]


async def _result(sent: AsyncTaskiqTask[Any]) -> Any:
    answer = await sent.wait_result(check_interval=_POLL_S, timeout=runner.TIMEOUT_S)
    answer.raise_for_error()
    return answer.return_value


async def _batch(name: str, arguments: list[Any]) -> list[Any]:
    sent: list[Any] = [None] * len(arguments)
    results: list[Any] = [None] * len(arguments)

    async def send(first: int) -> None:
        for index in range(first, len(arguments), _N_SENDERS):
            sent[index] = await TASKS[name].kiq(arguments[index])

    async def read(first: int) -> None:
        for index in range(first, len(arguments), _N_SENDERS):
            results[index] = await _result(sent[index])

    await asyncio.gather(*map(send, range(_N_SENDERS)))
    await asyncio.gather(*map(read, range(_N_SENDERS)))
    return results


async def _single(name: str, argument: Any) -> Any:
    return await _result(await TASKS[name].kiq(argument))


def main() -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(broker.startup())
    runner.main(
        "taskiq",
        [WORKER],
        batch=lambda name, arguments: loop.run_until_complete(_batch(name, arguments)),
        single=lambda name, argument: loop.run_until_complete(_single(name, argument)),
    )
    loop.run_until_complete(broker.shutdown())
    loop.close()


if __name__ == "__main__":
    main()
