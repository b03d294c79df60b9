"""Dramatiq with many checks in each message, computed by our kernels; see `batched`."""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.peers import batched, runner

# pickle on loopback passes bytes as they are; the body is msgpack
dramatiq.set_encoder(dramatiq.PickleEncoder())
broker = RedisBroker(url=runner.broker_url())
broker.add_middleware(
    Results(backend=RedisBackend(url=f"{runner.broker_url()}?socket_timeout={runner.TIMEOUT_S}"))
)
dramatiq.set_broker(broker)
check_message = dramatiq.actor(
    batched.check_message, actor_name="check_message", store_results=True
)

_TIMEOUT_MS = runner.TIMEOUT_S * 1_000

WORKER = [
    *("-m", "dramatiq", "benchmarks.peers.dramatiq_batched_peer"),
    *("--processes", str(runner.N_WORKERS), "--threads", "2"),
]


def batch(name: str, arguments: list[Any]) -> list[Any]:
    sent = dramatiq.group(map(check_message.message, batched.messages(arguments))).run()
    return batched.reports(list(sent.get_results(block=True, timeout=_TIMEOUT_MS)))


def single(name: str, argument: Any) -> Any:
    return batch(name, [argument])[0]


if __name__ == "__main__":
    runner.main("dramatiq", [WORKER], batch=batch, single=single, compute=batched.check_all)
