"""Live portfolios that are due for computation, and the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import redis

from risk_tasks.connection import Store, text
from risk_tasks.keys import (
    COUNTERS_KEY,
    LIVE_CRITICAL_KEY,
    LIVE_DIRTY_KEY,
    LIVE_EPOCH_KEY,
    LIVE_IN_PROGRESS_KEY,
    LIVE_KEY,
    LIVE_WAKE_KEY,
    MAX_BREACHES,
)
from risk_tasks.model.live import LimitStanding
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.scripts import Script
from risk_tasks.server_clock import server_s
from risk_tasks.store.portfolios import portfolio_of


@dataclass(frozen=True, slots=True)
class Attempt:
    """A live portfolio that was taken to be computed.

    Attempts of a portfolio are numbered: the result of an earlier one never replaces that of a
    later one.
    """

    portfolio: Portfolio
    number: int
    #: earlier attempts that a worker started and that have no result
    n_failed: int = 0

    @property
    def version(self) -> int:
        return self.portfolio.version or 0


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The result of one attempt: the report as JSON, and the state of each limit."""

    portfolio_id: str
    version: int
    number: int
    report: bytes
    standings: Sequence[LimitStanding]


@dataclass(frozen=True, slots=True)
class Taken:
    """Portfolios that were due, and why.

    `reason`: "critical" (a critical event), "changed", "outdated" (an earlier market or limit set)
    or "nothing". `due_ms`: ms until more may be due; None if nothing is dirty or outdated.
    """

    reason: str
    attempts: Sequence[Attempt]
    due_ms: int | None


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """Live portfolios by state, and counters since the server was set up.

    `dirty`: changed, or named by a critical event. `outdated`: with a report on an earlier market
    or limit set. `in_progress`: taken, without a result yet. `recorded` and `late` count reports,
    `changes` the entries of the breach stream.
    """

    portfolios: int
    dirty: int
    outdated: int
    in_progress: int
    oldest_dirty_s: float
    recorded: int
    late: int
    changes: int


class RecomputeStore(Store):
    """Takes portfolios that are due and records their results; safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._take, self._start, self._record, self._retry = (
            Script(client, "risk_tasks.store", "live", name)
            for name in ("take", "start", "record", "retry")
        )

    def wait_for_dirty(self, timeout_s: float) -> bool:
        """Wait until something may be due, `timeout_s` at most; False after that time.

        Something may be due then too. The socket timeout of the client must be longer.
        """
        return self._client.blpop([LIVE_WAKE_KEY], timeout_s) is not None

    def take(
        self, *, limit: int, wait_ms: int, max_in_progress: int, max_refreshed: int | None = None
    ) -> Taken:
        """Take up to `limit` portfolios that are due.

        Those of critical events are due at once, dirty ones as soon as there are `limit` of them or
        one is dirty for `wait_ms`, and outdated ones if no others are. At most `max_in_progress`
        are in progress, and twice as many if critical events need them. Outdated ones are taken
        while fewer than `max_refreshed` are in progress, none for 0.
        """
        refreshed = max_in_progress if max_refreshed is None else max_refreshed
        reason, due_ms, *attempts = self._take(args=[limit, wait_ms, max_in_progress, refreshed])
        due = None if int(due_ms) < 0 else int(due_ms)
        return Taken(text(reason), [_attempt(one) for one in attempts], due)

    def start(self, attempts: Sequence[tuple[str, int]]) -> None:
        """Note that a worker computes `attempts`, by portfolio id and number."""
        self._start(args=[word for attempt in attempts for word in attempt])

    def record_all(
        self, results: Sequence[AttemptResult], dispatch_message: bytes
    ) -> list[int | None]:
        """Record each of `results` individually, in their order and in one round trip.

        Stores the report as the latest one, and appends the limits that changed their state to the
        breach stream. A limit that is not in the result does not apply any more: it becomes none.
        Puts `dispatch_message` on the critical lane if a queue listens. Returns how many limits
        changed, None for a result that came after the result of a later attempt.
        """
        commands = []
        for one in results:
            args = [one.portfolio_id, one.version, one.number, one.report]
            args += [MAX_BREACHES, dispatch_message]
            for standing in one.standings:
                args += [standing.limit, standing.state.value, msgspec.json.encode(standing)]
            commands.append(self._record.command([], args))
        changed = self._record.run_all(commands, transaction=False)
        return [None if int(n) < 0 else int(n) for n in changed]

    def retry(
        self, *, visibility_timeout_s: float, max_attempts: int, limit: int = 1_000
    ) -> list[Attempt]:
        """Make portfolios dirty again that have been in progress for `visibility_timeout_s`.

        Returns those of which `max_attempts` attempts failed, each with a new attempt whose result
        states that it was abandoned. They stay in progress until that result is recorded.
        """
        _, *abandoned = self._retry(args=[int(visibility_timeout_s * 1e3), max_attempts, limit])
        return [_attempt(one) for one in abandoned]

    def counts(self) -> LiveCounts:
        with self._client.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.get(LIVE_EPOCH_KEY)
            pipe.zrange(LIVE_DIRTY_KEY, 0, 0, withscores=True)
            for key in (LIVE_KEY, LIVE_DIRTY_KEY, LIVE_CRITICAL_KEY, LIVE_IN_PROGRESS_KEY):
                pipe.zcard(key)
            pipe.hmget(COUNTERS_KEY, "live_recorded", "live_late", "live_changes")
            time, epoch, oldest, *numbers, counted = pipe.execute()
        outdated = int(self._client.zcount(LIVE_KEY, "-inf", f"({int(epoch or 0)}"))
        portfolios, dirty, critical, in_progress = numbers
        age_s = server_s(time) - oldest[0][1] / 1e3 if oldest else 0.0
        return LiveCounts(
            portfolios,
            dirty + critical,
            outdated,
            in_progress,
            max(0.0, age_s),
            *(int(count or 0) for count in counted),
        )


def _attempt(fields: Sequence[Any]) -> Attempt:
    portfolio_id, version, number, n_failed, attributes, held = fields
    positions = dict(zip(held[::2], held[1::2], strict=True))
    portfolio = portfolio_of(text(portfolio_id), int(version), attributes, positions)
    return Attempt(portfolio, int(number), int(n_failed))
