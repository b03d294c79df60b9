"""The server of the shared tier: never waited for, never an error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import redis
from redis.exceptions import MaxConnectionsError

from risk_tasks.cache.breaker import Breaker
from risk_tasks.cache.counters import CacheCounters

Answer = TypeVar("Answer")

#: Together a connection and one answer take less than the 50 ms within which a cache that is down
#: is a miss. Its client makes no second attempt.
CONNECT_TIMEOUT_S = 0.015
ANSWER_TIMEOUT_S = 0.03


class CacheServer:
    """Makes calls that may fail, through a breaker."""

    def __init__(self, client: redis.Redis, counters: CacheCounters, breaker: Breaker) -> None:
        self._client = client
        self._counters = counters
        self._breaker = breaker

    def ask(self, call: Callable[[redis.Redis], Answer]) -> Answer | None:
        """Return what `call` returns; None where the server does not answer or refuses."""
        if not self._breaker.allows():
            self._counters.add(refused=1)
            return None
        try:
            answer = call(self._client)
        except MaxConnectionsError:  # our own bound, and nothing about the server
            self._counters.add(errors=1)
            return None
        except (redis.ConnectionError, redis.TimeoutError):
            self._counters.add(errors=1, breaker_openings=self._breaker.failed())
            return None
        except redis.RedisError:  # it answers: full, or read only
            self._counters.add(errors=1)
            self._breaker.succeeded()
            return None
        self._breaker.succeeded()
        return answer


class ServerClock:
    """The server's clock as this process knows it, by its answers: slow by one trip at most.

    It goes on by this machine's steady clock, so that reading it costs no call; a server whose
    clock was set is believed anew after `refresh_s`.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, refresh_s: float = 10.0
    ) -> None:
        self._clock = clock
        self._refresh_s = refresh_s
        self._learnt: tuple[float, int] | None = None

    def is_due(self) -> bool:
        """Whether the next call should ask for the time besides."""
        learnt = self._learnt
        return learnt is None or self._clock() - learnt[0] > self._refresh_s

    def learn(self, answer: tuple[int, int]) -> None:
        """Take an answer to TIME that has just come: seconds and microseconds."""
        seconds, microseconds = answer
        self._learnt = (self._clock(), seconds * 1_000 + microseconds // 1_000)

    def now_ms(self) -> int | None:
        """Return the server's time; None where it was never learnt."""
        learnt = self._learnt
        if learnt is None:
            return None
        at_s, server_ms = learnt
        return server_ms + int((self._clock() - at_s) * 1_000)
