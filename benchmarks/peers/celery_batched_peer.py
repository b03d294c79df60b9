"""Celery with many checks in each message, computed by our kernels; see `batched`.

Its msgpack serializer passes the bytes of a message as they are.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from benchmarks.peers import batched, runner

app = Celery("peers", broker=runner.broker_url(), backend=runner.broker_url())
app.conf.update(task_serializer="msgpack", result_serializer="msgpack", accept_content=["msgpack"])
check_message = app.task(name="check_message")(batched.check_message)

WORKER = [
    *("-m", "celery", "--app", "benchmarks.peers.celery_batched_peer", "worker"),
    *("--pool", "prefork", "--concurrency", str(runner.N_WORKERS), "--loglevel", "WARNING"),
]


def batch(name: str, arguments: list[Any]) -> list[Any]:
    # without `argsrepr` Celery writes the text of each message into its headers
    sent = [
        check_message.apply_async((message,), argsrepr="checks")
        for message in batched.messages(arguments)
    ]
    return batched.reports([result.get(timeout=runner.TIMEOUT_S) for result in sent])


def single(name: str, argument: Any) -> Any:
    return batch(name, [argument])[0]


if __name__ == "__main__":
    runner.main("celery", [WORKER], batch=batch, single=single, compute=batched.check_all)
