"""Which live portfolios are to be computed, and what was found when they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.keys import (
    BREACHES_KEY,
    COUNTERS_KEY,
    LIVE_DIRTY_KEY,
    LIVE_EPOCH_KEY,
    LIVE_KEY,
    LIVE_UNDERWAY_KEY,
    LIVE_WAKE_KEY,
    MAX_BREACHES,
    live_portfolio_key,
    live_report_key,
    live_states_key,
)
from risk_tasks.model.live import LimitStanding
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.scripts import Script
from risk_tasks.store.portfolios import portfolio_of


@dataclass(frozen=True, slots=True)
class Turn:
    """A live portfolio in the hands of whoever has it computed.

    Turns of one portfolio are counted: what a later turn found is never replaced by an earlier.
    """

    portfolio: Portfolio
    number: int
    #: how often it was tried before and nothing came of it
    attempts: int = 0

    @property
    def version(self) -> int:
        return self.portfolio.version or 0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one turn: the report as JSON, and where it stands to its limits."""

    portfolio_id: str
    version: int
    number: int
    report: bytes
    standings: Sequence[LimitStanding]


@dataclass(frozen=True, slots=True)
class Taken:
    """What was due: portfolios that changed, or whose market or limits did."""

    #: "changed", "outdated" or "nothing"
    why: str
    turns: Sequence[Turn]
    #: ms until more may be due; None where nothing is dirty, nor outdated
    due_ms: int | None


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """How many portfolios are live, wait to be computed, and are being computed.

    And since the server's beginning: reports that were recorded, those that came too late, and
    changes of state that were told.
    """

    portfolios: int
    #: they changed
    dirty: int
    #: of an earlier market or limit set
    outdated: int
    underway: int
    oldest_dirty_s: float
    recorded: int
    late: int
    changes: int


class RecomputingStore:
    """Takes what is dirty, keeps what was found; safe to share between threads and processes."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._take = Script(client, "risk_tasks.store", "live", "take")
        self._begin = Script(client, "risk_tasks.store", "live", "begin")
        self._record = Script(client, "risk_tasks.store", "live", "record")
        self._retrigger = Script(client, "risk_tasks.store", "live", "retrigger")

    def await_dirty(self, within_s: float) -> bool:
        """Wait until something may be dirty; False after `within_s`, when it may be none the less.

        The client's time-out on its socket is to be longer.
        """
        with transport_errors(self._client):
            return self._client.blpop([LIVE_WAKE_KEY], within_s) is not None

    def take(
        self, *, most: int, wait_ms: int, max_underway: int, max_refreshed: int | None = None
    ) -> Taken:
        """Take up to `most` that are due: `most` of them are dirty, or one for `wait_ms`.

        Where none are, those whose report is of an earlier market or limit set are. Never more
        than `max_underway` are underway, so that what is asked otherwise has its turn; outdated
        ones are taken while fewer than `max_refreshed` are, none for 0.
        """
        refreshed = max_underway if max_refreshed is None else max_refreshed
        with transport_errors(self._client):
            why, due_ms, *turns = self._take(args=[most, wait_ms, max_underway, refreshed])
        return Taken(
            text(why), [_turn(one) for one in turns], None if int(due_ms) < 0 else int(due_ms)
        )

    def begin(self, turns: Sequence[tuple[str, int]]) -> None:
        """Note that `turns`, by id and number, are being computed: each is an attempt from now."""
        with transport_errors(self._client):
            self._begin(args=[word for turn in turns for word in turn])

    def record(
        self,
        turn_of: tuple[str, int, int],
        report: bytes,
        standings: Sequence[LimitStanding],
        envelope: bytes,
    ) -> int | None:
        """Keep `report` as the latest and tell the stream which limits changed their state.

        `turn_of` is id, version and number of a turn. Limits that are not among `standings` are
        held against it no longer. Returns how many changed; None where a later turn came first.
        `envelope` is put on the critical lane where somebody listens.
        """
        return self.record_all([Finding(*turn_of, report, standings)], envelope)[0]

    def record_all(self, findings: Sequence[Finding], envelope: bytes) -> list[int | None]:
        """Record each of `findings` by itself, in their order and one round trip."""
        with transport_errors(self._client):
            changed = self._record.run_all(
                [self._record.command(*_recording(one, envelope)) for one in findings],
                transaction=False,
            )
        return [None if int(n) < 0 else int(n) for n in changed]

    def retrigger(self, *, after_s: float, max_attempts: int, most: int = 1_000) -> list[Turn]:
        """Make dirty again what has been underway for `after_s`.

        Returns those whose computing was begun `max_attempts` times, each with a turn to record why
        it is given up; they stay underway until that is recorded. What nobody began only waited.
        """
        with transport_errors(self._client):
            _, *given_up = self._retrigger(args=[int(after_s * 1e3), max_attempts, most])
        return [_turn(one) for one in given_up]

    def counts(self) -> LiveCounts:
        with transport_errors(self._client):
            with self._client.pipeline(transaction=True) as pipe:
                pipe.time()
                pipe.get(LIVE_EPOCH_KEY)
                pipe.zrange(LIVE_DIRTY_KEY, 0, 0, withscores=True)
                pipe.zcard(LIVE_KEY)
                pipe.zcard(LIVE_DIRTY_KEY)
                pipe.zcard(LIVE_UNDERWAY_KEY)
                pipe.hmget(COUNTERS_KEY, "live_recorded", "live_late", "live_changes")
                (seconds, micros), epoch, oldest, *numbers, counted = pipe.execute()
            portfolios, dirty, underway = numbers
            outdated = int(self._client.zcount(LIVE_KEY, "-inf", f"({int(epoch or 0)}"))
        age_s = seconds + micros / 1e6 - oldest[0][1] / 1e3 if oldest else 0.0
        return LiveCounts(
            portfolios,
            dirty,
            outdated,
            underway,
            max(0.0, age_s),
            *(int(count or 0) for count in counted),
        )


def _recording(found: Finding, envelope: bytes) -> tuple[list[str], list[Any]]:
    """Return keys and arguments of the script."""
    keys = [
        live_portfolio_key(found.portfolio_id),
        live_report_key(found.portfolio_id),
        live_states_key(found.portfolio_id),
        BREACHES_KEY,
    ]
    words = [
        word
        for one in found.standings
        for word in (one.limit, one.state.value, msgspec.json.encode(one))
    ]
    of = (found.portfolio_id, found.version, found.number)
    return keys, [*of, found.report, MAX_BREACHES, envelope, *words]


def _turn(words: Sequence[Any]) -> Turn:
    portfolio_id, version, number, attempts, about, held = words
    positions = dict(zip(held[::2], held[1::2], strict=True))
    return Turn(
        portfolio_of(text(portfolio_id), int(version), about, positions),
        int(number),
        int(attempts),
    )
