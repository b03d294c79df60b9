"""A process that asks for one result from many threads: `python -m tests.integration.herd`."""

from __future__ import annotations

import sys
import threading
import time

import redis

from risk_tasks.cache import Waited
from tests.integration.cache_support import Cache

COMPUTING_S = 0.2


def main(url: str, prefix: str, n_threads: int, lease_s: float, mode: str) -> None:
    """Say `ready`, wait for `PREFIX:go`, ask; each computation is counted under `PREFIX:runs`."""
    cache = Cache(url, prefix.encode(), timeout_s=30.0)
    told = redis.Redis.from_url(url)
    gate = threading.Barrier(n_threads + 1)
    answers: list[bytes | None] = []

    def compute(keys):
        told.rpush(f"{prefix}:runs", *keys)
        time.sleep(60 if mode == "hang" else COMPUTING_S)
        return dict.fromkeys(keys, b"result")

    def ask():
        gate.wait()
        (value,) = cache.tiers.get_many([b"k"])
        if value is None:
            value = once(cache, compute, lease_s)
        answers.append(value)

    threads = [threading.Thread(target=ask) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    told.rpush(f"{prefix}:ready", "1")
    told.blpop([f"{prefix}:go"], timeout=60)
    gate.wait()
    for thread in threads:
        thread.join()
    # An error of the server would make a computation more, and a pass by luck no proof.
    told.rpush(f"{prefix}:errors", str(cache.counts().errors))
    told.rpush(f"{prefix}:answers", answers.count(b"result"))


def once(cache, compute, lease_s):
    with cache.flight.lead([b"k"], lease_s=lease_s) as turn:
        if turn.mine:
            turn.land(compute(turn.mine), 60)
        while turn.wait(time.monotonic() + 60) is Waited.TAKEN_OVER:
            turn.land(compute(turn.mine), 60)
        return turn.found.get(b"k")


if __name__ == "__main__":
    url, prefix, n_threads, lease_s, mode = sys.argv[1:]
    main(url, prefix, int(n_threads), float(lease_s), mode)
