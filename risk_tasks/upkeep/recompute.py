"""Recomputes live portfolios: enqueues those that are due, and retries those without a result."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from risk_tasks.broker.blocks import BlockBroker, IfMissing, StampRequest
from risk_tasks.broker.dead_letters import DeadLetters
from risk_tasks.broker.envelope import block_summary, dispatch_message
from risk_tasks.errors import DeadLetterError, TransportError
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.log import log
from risk_tasks.model.live import standings
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.report import Decision, ReportError, ReportStatus, RiskReport
from risk_tasks.queues import Lane
from risk_tasks.store.published import LimitStore
from risk_tasks.store.recompute import Attempt, AttemptResult, RecomputeStore
from risk_tasks.wire.documents import report_document
from risk_tasks.wire.request import AttemptMark, Detail, Terms, encode_request, pack_portfolios

#: longest wait of a step if nothing is due, and if something is due soon
_IDLE_S, _SOON_S = 1.0, 0.02
#: outdated portfolios are taken while fewer blocks than this are in progress
_REFRESHED_BLOCKS = 4
#: positions of one block, so that computing it takes about 10 ms
_MAX_POSITIONS = 20_000
#: deadline of a block as a share of the visibility timeout: a block that expires is soon retried
_DEADLINE_SHARE = 2 / 3

_STAMP = StampRequest(DEFAULT_NAME, DEFAULT_NAME, IfMissing.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePolicy:
    """When live portfolios are computed, and how many at once."""

    #: dirty portfolios that are due at once; limit of one block
    batch_size: int = 50
    #: ms after which a dirty portfolio is due in any case
    window_ms: int = 100
    #: outdated portfolios that are computed per second after a new market or limit set
    refresh_per_s: float = 5_000.0
    #: a portfolio that was taken and has no result after this is retried
    visibility_timeout_s: float = 15.0
    #: failed attempts after which a portfolio is abandoned
    max_attempts: int = 3
    #: portfolios that are taken and have no result yet
    max_in_progress: int = 1_000


class LiveCollector:
    """Takes portfolios that are due and enqueues them as blocks; several may run at a time.

    Portfolios of critical events go to the critical lane, all others to the batch lane. A block
    that cannot be enqueued is retried after the visibility timeout.
    """

    def __init__(
        self,
        store: RecomputeStore,
        broker: BlockBroker,
        policy: LivePolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._broker = broker
        self._policy = policy
        self._clock = clock
        self._sleep = sleep
        self._terms = Terms(parse_measures(None), MeasureSettings(), detail=Detail.REPORTS)
        self._is_idle = True
        self._refresh_at_s = 0.0

    def step(self) -> None:
        """Take portfolios once, after up to a second of waiting if nothing was due before."""
        if self._is_idle:
            self._store.wait_for_dirty(_IDLE_S)
        policy, now_s = self._policy, self._clock()
        # Set before anything can fail, so that a failing step is followed by a wait.
        self._is_idle = True
        may_refresh = now_s >= self._refresh_at_s
        taken = self._store.take(
            limit=policy.batch_size,
            wait_ms=policy.window_ms,
            max_in_progress=policy.max_in_progress,
            max_refreshed=_REFRESHED_BLOCKS * policy.batch_size if may_refresh else 0,
        )
        if taken.reason == "outdated":
            self._refresh_at_s = now_s + len(taken.attempts) / policy.refresh_per_s
        lane = Lane.CRITICAL if taken.reason == "critical" else Lane.BATCH
        for attempts in blocks_of(taken.attempts):
            self._send(attempts, lane)
        self._is_idle = not taken.attempts and taken.due_ms is None
        if not taken.attempts and taken.due_ms is not None:
            wait_s = min(_SOON_S, taken.due_ms / 1e3)
            until_refresh_s = self._refresh_at_s - now_s
            self._sleep(min(wait_s, until_refresh_s) if until_refresh_s > 0 else wait_s)

    def _send(self, attempts: Sequence[Attempt], lane: Lane) -> None:
        portfolios = [attempt.portfolio for attempt in attempts]
        marks = [AttemptMark(attempt.version, attempt.number) for attempt in attempts]
        try:
            self._broker.enqueue(
                f"live-{uuid.uuid4().hex}",
                encode_request(pack_portfolios(portfolios, self._terms, marks)),
                client_id="",
                lane=lane,
                n_checks=len(attempts),
                timeout_s=self._policy.visibility_timeout_s * _DEADLINE_SHARE,
                stamp=_STAMP,
                summary=block_summary(lane.value, [portfolio.id for portfolio in portfolios]),
                keeps_answer=False,
            )
        except TransportError as error:
            log.warning("live.not_enqueued", portfolios=len(attempts), error=str(error))


def blocks_of(attempts: Sequence[Attempt]) -> Iterator[Sequence[Attempt]]:
    """Divide `attempts` into blocks of a bounded number of positions.

    A portfolio with a failed attempt is a block of its own, so that no other fails with it.
    """
    block: list[Attempt] = []
    n_positions = 0
    for attempt in attempts:
        if attempt.n_failed:
            yield [attempt]
            continue
        n_held = len(attempt.portfolio.positions)
        if block and n_positions + n_held > _MAX_POSITIONS:
            yield block
            block, n_positions = [], 0
        block.append(attempt)
        n_positions += n_held
    if block:
        yield block


class LiveRetry:
    """Retries live portfolios without a result, and abandons those that fail too often.

    Several may run at a time.
    """

    def __init__(
        self,
        store: RecomputeStore,
        limits: LimitStore,
        letters: DeadLetters,
        policy: LivePolicy,
    ) -> None:
        self._store = store
        self._limits = limits
        self._letters = letters
        self._policy = policy

    def step(self) -> int:
        """Retry portfolios past the visibility timeout; returns how many were abandoned.

        Such a portfolio has a dead letter, and all its limits are not evaluated. It is computed
        again when it or the market changes, or when its dead letter is replayed.
        """
        abandoned = self._store.retry(
            visibility_timeout_s=self._policy.visibility_timeout_s,
            max_attempts=self._policy.max_attempts,
        )
        for attempt in abandoned:
            self._abandon(attempt)
        return len(abandoned)

    def _abandon(self, attempt: Attempt) -> None:
        portfolio = attempt.portfolio
        letter_id = self._letters.add_portfolio(
            portfolio.id, attempt.version, attempts=attempt.n_failed, lane=Lane.BATCH.value
        )
        version = self._limits.current().get(DEFAULT_NAME)
        limit_set = self._limits.load(version) if version else None
        error = DeadLetterError(check_id=letter_id, letter_id=letter_id)
        report = RiskReport(
            portfolio_id=portfolio.id,
            market_id=None,
            limits_version=version,
            as_of=None,
            status=ReportStatus.ERROR,
            decision=Decision.REJECT,
            error=ReportError(code=error.code, message=error.message, remedy=error.remedy),
        )
        result = AttemptResult(
            portfolio.id,
            attempt.version,
            attempt.number,
            msgspec.json.encode(report_document(report)),
            standings(report, limit_set, portfolio.tags),
        )
        self._store.record_all([result], dispatch_message())
        log.warning("live.abandoned", portfolio=portfolio.id, attempts=attempt.n_failed)
