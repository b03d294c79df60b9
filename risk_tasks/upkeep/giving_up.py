"""What was taken and never recorded: taken again, and given up at last."""

from __future__ import annotations

import msgspec
import structlog

from risk_tasks.broker.dead_letters import DeadLetters
from risk_tasks.broker.envelope import handing_message
from risk_tasks.errors import DeadLetterError
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.model.live import standings
from risk_tasks.model.report import Decision, ReportError, ReportStatus, RiskReport
from risk_tasks.queues import Lane
from risk_tasks.store.limits import LimitStore
from risk_tasks.store.recomputing import Finding, RecomputingStore, Turn
from risk_tasks.upkeep.live import LivePolicy
from risk_tasks.wire.documents import report_document

log = structlog.get_logger("risk_tasks")


class Retrigger:
    """Looks for live portfolios that have been underway too long; several may be at it."""

    def __init__(
        self,
        store: RecomputingStore,
        limits: LimitStore,
        letters: DeadLetters,
        policy: LivePolicy,
    ) -> None:
        self._store = store
        self._limits = limits
        self._letters = letters
        self._policy = policy

    def look(self) -> int:
        """Have them taken again; returns how many were given up.

        Of those none of their limits is evaluated any more, until they change, the market does, or
        their dead letter is replayed.
        """
        given_up = self._store.retrigger(
            after_s=self._policy.retrigger_s, max_attempts=self._policy.max_attempts
        )
        for turn in given_up:
            self._give_up(turn)
        return len(given_up)

    def _give_up(self, turn: Turn) -> None:
        portfolio = turn.portfolio
        letter_id = self._letters.give_up(
            portfolio.id, turn.version, attempts=turn.attempts, lane=Lane.BATCH.value
        )
        version = self._limits.current().get(DEFAULT_NAME)
        limits = (
            self._limits.load(version).applying(portfolio.id, portfolio.tags) if version else ()
        )
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
        found = Finding(
            *(portfolio.id, turn.version, turn.number),
            msgspec.json.encode(report_document(report)),
            standings(report, limits),
        )
        self._store.record_all([found], handing_message())
        log.warning("live.given_up", portfolio=portfolio.id, attempts=turn.attempts)
