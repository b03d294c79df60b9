"""What `demo` and `check` share: reports with the market and the times behind them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

from risk_tasks.client import RiskClient
from risk_tasks.client.options import CheckOptions
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport
from risk_tasks.wire.documents import Document, report_document


@dataclass(frozen=True, slots=True)
class CheckedBook:
    """Reports of one book, under one market; times in milliseconds."""

    market: dict[str, Any]
    reports: Sequence[RiskReport]
    timings: dict[str, float]

    def document(self) -> Document:
        return {
            "market": self.market,
            "timings": self.timings,
            "reports": [report_document(report) for report in self.reports],
        }


def market_summary(snapshot: MarketSnapshot) -> dict[str, Any]:
    return {
        "id": snapshot.id,
        "as_of": snapshot.as_of.isoformat(),
        "instruments": len(snapshot.instruments),
        "observations": snapshot.n_observations,
    }


def check_book(
    risk: RiskClient,
    portfolios: Iterable[Portfolio],
    about_market: dict[str, Any],
    *,
    explain: bool = False,
    **options: Unpack[CheckOptions],
) -> CheckedBook:
    """Check `portfolios` and take the time: the longest wait and the sum of all computing."""
    started = time.perf_counter()
    reports = risk.check_many(portfolios, explain=explain, **options)
    total_ms = (time.perf_counter() - started) * 1e3
    # The reports of one block share one mapping of times.
    blocks = list({id(report.timings): report.timings for report in reports}.values())
    timings = {
        "queued_ms": max((block.get("queued_ms", 0.0) for block in blocks), default=0.0),
        "compute_ms": sum(block.get("compute_ms", 0.0) for block in blocks),
        "total_ms": total_ms,
    }
    return CheckedBook(about_market, reports, {name: round(ms, 3) for name, ms in timings.items()})
