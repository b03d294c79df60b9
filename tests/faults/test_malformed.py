"""Malformed messages: none of them stops a worker, and each is counted."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from risk_tasks.broker.envelope import envelope
from risk_tasks.broker.transport import MAX_MESSAGE_BYTES
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.queues import Lane
from tests.faults.system import System, running_system
from tests.integration.support import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1_200)]

QUEUE = Lane.NORMAL.queue


def _with(**changes: Any) -> bytes:
    """A valid message with some of its parts replaced, by their path."""
    message = json.loads(envelope("no-such-block", Lane.NORMAL, ""))
    for path, value in changes.items():
        *parents, name = path.split("__")
        part = message
        for parent in parents:
            part = part[parent]
        part[name.replace("_of_", "-")] = value
    return json.dumps(message).encode()


SHAPES = {
    "garbage bytes": b"\x80\x04\x95\x00 garbage \xff",
    "a JSON list": b"[1, 2, 3]",
    "an unknown object": b'{"a": 1}',
    "a body that is a JSON string": _with(body='"text"'),
    "a body of another shape": _with(body='{"args": []}'),
    "pickled content": _with(
        body=base64.b64encode(b"\x80\x04.").decode(),
        properties__body_encoding="base64",
        content_of_type="application/x-python-serialize",
    ),
    "another task": _with(headers__task="os.system"),
    "an id that is a number": _with(headers__id=7),
    "an invalid moment": _with(headers__eta="yesterday"),
    "an oversized message": _with(headers__argsrepr="x" * MAX_MESSAGE_BYTES),
}


def test_ten_malformed_shapes_are_quarantined_and_the_worker_continues(
    system: System, portfolios: list[Portfolio]
) -> None:
    for shape in SHAPES.values():
        system.redis.lpush(QUEUE, shape)

    wait_until(lambda: system.counter("quarantined") == len(SHAPES), 20, "quarantine")

    assert system.risk.check(portfolios[0]).status == "ok"
    assert system.worker.is_alive
    assert system.worker.n_restarts == 0
    letters = [system.redis.hgetall(key) for key in system.redis.keys("risk:dead:malformed-*")]
    assert sorted(letter[b"envelope"] for letter in letters) == sorted(
        shape[: 1 << 16] for shape in SHAPES.values()
    )
    assert all(letter[b"reason"] for letter in letters)
    wait_until(lambda: system.redis.hlen("unacked") == 0, 5, "nothing unacknowledged")


def test_without_the_guard_a_malformed_message_stops_the_worker(
    market: MarketSnapshot, portfolios: list[Portfolio], tmp_path: Path
) -> None:
    """kombu does not check messages, and Celery's consumer ends after an unknown error."""
    with running_system(tmp_path, n_workers=1, program=UNGUARDED) as system:
        system.risk.publish_market(market)
        for shape in SHAPES.values():
            system.redis.lpush(QUEUE, shape)

        wait_until(lambda: not system.worker.is_alive, 20, "the end of the worker")


UNGUARDED = """
import sys
from risk_tasks.broker import consumer, transport
from celery.worker.consumer import Consumer
from kombu.transport.redis import Transport

transport.GuardedTransport = Transport
consumer.QuickConsumer = Consumer
from risk_tasks.cli import main
sys.argv = ["risk-tasks", "worker"]
main()
"""


def test_fuzzed_messages_are_all_accounted_for(
    system: System,
    portfolios: list[Portfolio],
    sized: Callable[[int, int], int],
    figures: Callable[..., None],
) -> None:
    """Each is answered, refused or quarantined, by one worker."""
    chance = random.Random(11)
    n_messages = sized(200, 5_000)
    for _ in range(n_messages):
        system.redis.lpush(QUEUE, _mutated(chance))

    wait_until(lambda: system.redis.llen(QUEUE) == 0, 60, "an empty lane")
    wait_until(lambda: system.redis.hlen("unacked") == 0, 20, "nothing unacknowledged")

    assert system.risk.check(portfolios[0]).status == "ok"
    assert system.worker.is_alive
    assert system.worker.n_restarts == 0
    # Messages that pass the guard name a missing block, or are checks without a portfolio.
    log = system.worker.log_path.read_text()
    n_let_in = log.count("block.not_started") + log.count("check.answered")
    figures(messages=n_messages, quarantined=system.counter("quarantined"), let_in=n_let_in)
    assert system.counter("quarantined") + n_let_in == n_messages


def _mutated(chance: random.Random) -> bytes:
    message = bytearray(envelope(f"fuzz-{chance.random()}", Lane.NORMAL, ""))
    kind = chance.randrange(6)
    if kind == 0:
        for _ in range(chance.randint(1, 8)):
            message[chance.randrange(len(message))] = chance.randrange(256)
    elif kind == 1:
        del message[chance.randrange(len(message)) :]
    elif kind == 2:
        return _with(body=json.dumps(_nested(chance)))
    elif kind == 3:
        return _with(headers__retries=10 ** chance.randint(1, 400))
    elif kind == 4:
        name = chance.choice(["task", "id", "eta", "expires", "retries", "timelimit", "origin"])
        return _with(**{f"headers__{name}": _nested(chance)})
    else:
        message += message[chance.randrange(len(message)) :]
    return bytes(message)


def _nested(chance: random.Random) -> Any:
    value: Any = chance.choice([None, "", "\u0000\ud7ff", 1e308, -1, True, [], {}])
    for _ in range(chance.choice([0, 1, 3, 200])):
        value = [value] if chance.random() < 0.5 else {"k": value}
    return value
