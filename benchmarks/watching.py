"""Flower on a running system: it enables the workers' events, and reads them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from benchmarks.peers.environment import PEERS

_STARTS_WITHIN_S = 60.0


@contextmanager
def watched(url: str, folder: Path, check: Callable[[], object]) -> Iterator[None]:
    """Run Flower on a socket in `folder` once the events of a `check` arrive.

    Raises `RuntimeError` if none arrives.
    """
    command = [
        *(str(PEERS.ensure()), "-m", "celery", "--broker", url),
        *("flower", f"--unix_socket={folder / 'flower.sock'}"),
    ]
    with (folder / "flower.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _await_events(url, check)
        yield
    finally:
        process.terminate()
        process.wait()


def _await_events(url: str, check: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + _STARTS_WITHIN_S
    with redis.Redis.from_url(url) as client, client.pubsub() as events:
        events.psubscribe("*celeryev*task*")
        while time.monotonic() < give_up_at:
            check()
            message = events.get_message(timeout=0.2)
            if message and message["type"] == "pmessage":
                return
    raise RuntimeError(f"No event of a task arrived within {_STARTS_WITHIN_S:g} s.")
