"""A worker of live portfolios for tests: it records the states that a test gives."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import redis

from risk_tasks.model.live import LimitStanding, LimitState
from risk_tasks.model.report import Decision, Measure, ReportStatus, RiskReport
from risk_tasks.store.recompute import AttemptResult, RecomputeStore
from risk_tasks.wire.documents import report_document


def report_of(portfolio_id: str, observed: float) -> RiskReport:
    return RiskReport(
        portfolio_id=portfolio_id,
        market_id="m",
        limits_version="v",
        as_of=None,
        status=ReportStatus.OK,
        decision=Decision.ACCEPT,
        measures={"gross_exposure": Measure(observed, "ccy", "ok")},
    )


@dataclass(frozen=True)
class LiveWorker:
    """Records one state of the limit `gross` for each dirty portfolio."""

    client: redis.Redis

    def work(self, state: LimitState, observed: float = 0.1) -> int:
        """Return how many limits changed."""
        store = RecomputeStore(self.client)
        taken = store.take(limit=1_000, wait_ms=0, max_in_progress=10_000)
        standing = LimitStanding(
            limit="gross",
            measure="gross_exposure",
            state=state,
            observed=observed,
            threshold=0.05,
            unit="ccy",
        )
        changed = 0
        for attempt in taken.attempts:
            of = (attempt.portfolio.id, attempt.version, attempt.number)
            report = msgspec.json.encode(report_document(report_of(attempt.portfolio.id, observed)))
            changed += store.record_all([AttemptResult(*of, report, [standing])], b"wake")[0] or 0
        return changed
