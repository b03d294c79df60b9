"""A process whose threads all need one result: `python -m tests.integration.herd`."""

from __future__ import annotations

import sys
import threading
import time

import redis

from risk_tasks.cache import CachedValue
from tests.integration.cache_support import Cache

COMPUTING_S = 0.2


def main(url: str, prefix: str, n_threads: int, lease_s: float, mode: str) -> None:
    """Push `ready`, wait for `PREFIX:go`, look up; push each computation to `PREFIX:runs`."""
    cache = Cache(url, prefix.encode(), timeout_s=30.0)
    client = redis.Redis.from_url(url)
    gate = threading.Barrier(n_threads + 1)
    answers: list[bytes | None] = []

    def compute(keys):
        client.rpush(f"{prefix}:runs", *keys)
        time.sleep(60 if mode == "hang" else COMPUTING_S)
        return dict.fromkeys(keys, CachedValue(b"result", 60.0))

    def ask():
        gate.wait()
        (held,) = cache.tiers.get_many([b"k"])
        if held is not None:
            answers.append(held.value)
            return
        until_s = time.monotonic() + 60
        found = cache.flights.compute_once([b"k"], compute, lease_s=lease_s, until_s=until_s)
        answers.append(found.get(b"k"))

    threads = [threading.Thread(target=ask) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    client.rpush(f"{prefix}:ready", "1")
    client.blpop([f"{prefix}:go"], timeout=60)
    gate.wait()
    for thread in threads:
        thread.join()
    # A server error would cause one more computation, and a pass by luck would prove nothing.
    client.rpush(f"{prefix}:errors", str(cache.counts().errors))
    client.rpush(f"{prefix}:answers", answers.count(b"result"))


if __name__ == "__main__":
    url, prefix, n_threads, lease_s, mode = sys.argv[1:]
    main(url, prefix, int(n_threads), float(lease_s), mode)
