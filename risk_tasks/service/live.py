"""Records the results of live portfolios: latest reports, and limits that changed their state."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from risk_tasks.broker.envelope import dispatch_message
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.live import standings
from risk_tasks.store.recompute import AttemptResult, RecomputeStore
from risk_tasks.wire.answer import AnswerBlock
from risk_tasks.wire.documents import report_document
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import RequestBlock


class LiveRecorder:
    """Records the answers of blocks of live portfolios; recording twice changes nothing."""

    def __init__(self, store: RecomputeStore, load_limits: Callable[[str], LimitSet]) -> None:
        self._store = store
        self._load_limits = load_limits

    def start(self, request: RequestBlock) -> None:
        """Note that the attempts of `request` are being computed."""
        ids = request.portfolio_ids.to_pylist()
        numbers = [attempt.number for attempt in request.attempts]
        self._store.start(list(zip(ids, numbers, strict=True)))

    def record(self, request: RequestBlock, answer: AnswerBlock) -> None:
        """Store the report of each row, and append each limit that changes its state to the stream.

        A row whose portfolio has the result of a later attempt changes nothing. Raises
        `TransportError`; some rows may be recorded then.
        """
        version = answer.head.limits_version
        limit_set = self._load_limits(version) if version else None
        ids, tags = request.portfolio_ids.to_pylist(), request.tags or [{}] * len(request)
        results = [
            AttemptResult(
                portfolio_id,
                attempt.version,
                attempt.number,
                msgspec.json.encode(report_document(report)),
                standings(report, limit_set, of_row),
            )
            for portfolio_id, of_row, attempt, report in zip(
                ids, tags, request.attempts, reports(ids, [answer]), strict=True
            )
        ]
        self._store.record_all(results, dispatch_message())
