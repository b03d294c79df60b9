"""Helpers of the integration tests: bounded waits, unique names, portfolios, commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import redis

from risk_tasks.broker.blocks import BlockBroker, StampRequest
from risk_tasks.connection import connect
from risk_tasks.keys import lane_key
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport
from risk_tasks.queues import Lane
from risk_tasks.wire.documents import report_document

REPOSITORY = Path(__file__).resolve().parents[2]
_POLL_S = 0.02

Found = TypeVar("Found")


def wait_until(predicate: Callable[[], Found], timeout_s: float, what: str = "") -> Found:
    """Return the first true result of `predicate`; fail after `timeout_s`."""
    give_up_at = time.monotonic() + timeout_s
    while True:
        found = predicate()
        if found:
            return found
        if time.monotonic() > give_up_at:
            raise AssertionError(
                f"Not within {timeout_s:g} s: {what or predicate}; last: {found!r}"
            )
        time.sleep(_POLL_S)


def unique(word: str = "t") -> str:
    """Return a name that no other test has."""
    return f"{word}-{uuid.uuid4().hex[:12]}"


def is_our_child(pid: int) -> bool:
    """Whether `pid` is a living child of this process."""
    try:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return ended is None


def is_gone(pid: int) -> bool:
    """Whether this process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@dataclass(frozen=True, slots=True)
class Server:
    """A server that the tests started: its URL, its process id and a connection."""

    url: str
    pid: int
    client: redis.Redis

    @property
    def port(self) -> int:
        return int(self.client.connection_pool.connection_kwargs["port"])

    def now_ms(self) -> int:
        seconds, micros = self.client.time()
        return seconds * 1_000 + micros // 1_000

    def key_names(self) -> set[str]:
        return {key.decode() for key in self.client.scan_iter(count=1_000)}

    def content(self) -> dict[str, object]:
        """Return every key with its value."""
        return {key: self.client.dump(key) for key in self.key_names()}

    def lane(self, lane: Lane) -> tuple[int, int]:
        """Return the counters of the lane: checks and bytes."""
        held = self.client.hmget(lane_key(lane), "checks", "bytes")
        return int(held[0] or 0), int(held[1] or 0)

    def counter(self, name: str) -> int:
        return int(self.client.hget("risk:counters", name) or 0)

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Return the messages of a Celery list, the next one first."""
        return [json.loads(raw) for raw in reversed(self.client.lrange(queue, 0, -1))]


NO_STAMP = StampRequest("", "")
PAYLOAD = b"\x00payload\xff"


@dataclass(slots=True)
class Sender:
    """Enqueues blocks for one client."""

    broker: BlockBroker
    client_id: str
    #: what the last block was stamped with
    stamp: StampRequest = NO_STAMP

    def send(self, block_id: str = "", payload: bytes = PAYLOAD, **terms: Any) -> str:
        block_id = block_id or unique("block")
        self.stamp = self.broker.enqueue(
            block_id,
            payload,
            **{
                "client_id": self.client_id,
                "lane": Lane.NORMAL,
                "n_checks": 3,
                "timeout_s": 60.0,
                "stamp": NO_STAMP,
                **terms,
            },
        )
        return block_id


class HandWorker:
    """Takes blocks as a worker does, one step per call."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = connect(server.url)
        self.broker = BlockBroker(self._client)

    def take(self, lane: Lane = Lane.NORMAL, timeout_s: float = 3.0) -> str:
        """Take the next message of the lane and return the id of its block."""
        taken = self._server.client.brpop([lane.queue], timeout_s)
        assert taken is not None, f"no message in {lane.queue} within {timeout_s:g} s"
        block_id: str = json.loads(taken[1])["headers"]["id"]
        return block_id

    def close(self) -> None:
        self._client.close()


def books(n: int, instruments: Sequence[str], *, seed: int = 7) -> list[Portfolio]:
    """Return `n` different portfolios of 1 to 12 positions, each with its own id."""
    rng = np.random.default_rng(seed)
    prefix = unique("book")
    made = []
    for number in range(n):
        held = rng.choice(len(instruments), size=int(rng.integers(1, 13)), replace=False)
        quantities = rng.integers(-9_000, 9_000, size=len(held)) + 0.5
        positions = {instruments[place]: float(q) for place, q in zip(held, quantities)}
        made.append(Portfolio(f"{prefix}-{number}", positions, cash=5_000_000.0 + number))
    return made


def untimed(reports: Sequence[RiskReport]) -> list[str]:
    """Return the reports as texts with every bit of every number, without their times."""
    return [repr(report_document(replace(report, timings={}))) for report in reports]


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with only these `settings` of risk_tasks."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RISK_TASKS_")}
    # the default width of a terminal
    kept.pop("COLUMNS", None)
    return {**kept, **settings}


def command(
    *arguments: object, cwd: Path | None = None, timeout_s: float = 90, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m risk_tasks ...` to its end, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "risk_tasks", *map(str, arguments)],
        cwd=cwd,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def only_json(done: subprocess.CompletedProcess[str]) -> Any:
    """Return what a command printed, which must be one JSON document."""
    assert done.returncode == 0, done.stderr

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not JSON")

    return json.loads(done.stdout, parse_constant=refuse)


@contextmanager
def running(
    *arguments: object, log: Path, cwd: Path | None = None, settings: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python ARGUMENTS` as a child, and end it when the block ends."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def ended(process: subprocess.Popen[bytes], log: Path, timeout_s: float = 20) -> int:
    """Ask a process to stop, and return its exit code."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise AssertionError(
            f"It goes on {timeout_s:g} s after SIGTERM:\n{log.read_text()}"
        ) from None
