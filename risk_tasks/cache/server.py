"""Calls of the cache server: they fail soon and never raise, so a server that is down is a miss."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import redis
from redis.exceptions import MaxConnectionsError

from risk_tasks.cache.counters import CacheCounters

Answer = TypeVar("Answer")

#: Their sum is below 50 ms, the time after which a cache that is down must be a miss. The client of
#: the cache does not retry.
CONNECT_TIMEOUT_S = 0.015
ANSWER_TIMEOUT_S = 0.03


class CircuitBreaker:
    """Opens after `n_failures` failures in a row; then allows one call every `open_s` seconds.

    The first success closes it. No lock is held during a call, and a probe that never reports its
    result is followed by another one.
    """

    def __init__(
        self,
        *,
        n_failures: int = 3,
        open_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._n_failures = n_failures
        self._open_s = open_s
        self._clock = clock
        self._failures_in_a_row = 0
        self._probe_at_s = 0.0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        return self._failures_in_a_row >= self._n_failures

    def allows(self) -> bool:
        """Return whether a call may be made now; its caller reports `success` or `failure`."""
        if not self.is_open:
            return True
        with self._lock:
            now_s = self._clock()
            is_due = now_s >= self._probe_at_s
            if is_due:
                self._probe_at_s = now_s + self._open_s
            return is_due

    def success(self) -> None:
        if self._failures_in_a_row:
            with self._lock:
                self._failures_in_a_row = 0

    def failure(self) -> bool:
        """Count a failure; return whether it opened the breaker."""
        with self._lock:
            was_open = self.is_open
            self._failures_in_a_row += 1
            self._probe_at_s = self._clock() + self._open_s
            return self.is_open and not was_open


class CacheServer:
    """Makes calls through a circuit breaker, and counts those that fail."""

    def __init__(
        self, client: redis.Redis, counters: CacheCounters, breaker: CircuitBreaker
    ) -> None:
        self._client = client
        self._counters = counters
        self._breaker = breaker

    def call(self, operation: Callable[[redis.Redis], Answer]) -> Answer | None:
        """Return what `operation` returns; None where the server does not answer or refuses."""
        if not self._breaker.allows():
            self._counters.add(refused=1)
            return None
        try:
            answer = operation(self._client)
        except MaxConnectionsError:  # our own bound: says nothing about the server
            self._counters.add(errors=1)
            return None
        except (redis.ConnectionError, redis.TimeoutError):
            self._counters.add(errors=1, breaker_openings=self._breaker.failure())
            return None
        except redis.RedisError:  # the server answers, but is full or read-only
            self._counters.add(errors=1)
            answer = None
        self._breaker.success()
        return answer
