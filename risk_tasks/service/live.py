"""What was found of live portfolios: the latest reports, and which limits changed their state."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from risk_tasks.broker.envelope import handing_message
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.live import standings
from risk_tasks.store.recompute import Finding, RecomputingStore
from risk_tasks.wire.answer import AnswerBlock
from risk_tasks.wire.documents import report_document
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import RequestBlock


class LiveRecorder:
    """Records the answers of blocks of live portfolios; doing so again changes nothing."""

    def __init__(self, store: RecomputingStore, load_limits: Callable[[str], LimitSet]) -> None:
        self._store = store
        self._load_limits = load_limits

    def begin(self, request: RequestBlock) -> None:
        """Note that `request` is being computed: whatever comes of it was an attempt."""
        ids = request.portfolio_ids.to_pylist()
        numbers = [turn.number for turn in request.turns]
        self._store.begin(list(zip(ids, numbers, strict=True)))

    def record(self, request: RequestBlock, answer: AnswerBlock) -> None:
        """Keep the report of each row, and tell of each limit whose state it changes.

        What a later turn of the portfolio found is kept instead. Raises `TransportError`, then some
        rows may be recorded.
        """
        version = answer.head.limits_version
        limit_set = self._load_limits(version) if version else None
        ids, tags = request.portfolio_ids.to_pylist(), request.tags or [{}] * len(request)
        findings = [
            Finding(
                *(name, turn.version, turn.number),
                msgspec.json.encode(report_document(report)),
                standings(report, limit_set.applying(name, of_row) if limit_set else ()),
            )
            for name, of_row, turn, report in zip(
                ids, tags, request.turns, reports(ids, [answer]), strict=True
            )
        ]
        self._store.record_all(findings, handing_message())
