"""The expected answers, computed in this process, and the counts of lost and wrong answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport, Stamp
from risk_tasks.service import MarketCache, Service
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import Terms, pack_portfolios


@dataclass
class Oracle:
    """Knows the right answer of each portfolio, and counts what was lost or wrong."""

    market: MarketSnapshot
    accepted: int = 0
    answered: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _right: dict[str, str] = field(default_factory=dict)

    def learn(self, portfolios: Sequence[Portfolio]) -> None:
        """Compute the right answers of `portfolios` without a queue, server or worker."""
        service = Service(MarketCache({self.market.id: self.market}.get), {}.__getitem__)
        request = pack_portfolios(portfolios, Terms(parse_measures(None), MeasureSettings()))
        answer = service.check(request, Stamp(self.market.id))
        for report in reports([portfolio.id for portfolio in portfolios], [answer]):
            self._right[report.portfolio_id] = _numbers(report)

    def judge(self, portfolios: Iterable[Portfolio], got: Sequence[RiskReport] | None) -> None:
        """Compare the reports of one accepted call with the right answers; None means lost."""
        names = [portfolio.id for portfolio in portfolios]
        self.accepted += len(names)
        if got is None or [report.portfolio_id for report in got] != names:
            self.lost += names
            return
        self.answered += len(names)
        self.wrong += [
            report.portfolio_id
            for report in got
            if _numbers(report) != self._right[report.portfolio_id]
        ]

    def verdict(self) -> dict[str, int]:
        return {
            "accepted": self.accepted,
            "answered": self.answered,
            "lost": len(self.lost),
            "wrong": len(self.wrong),
        }


def _numbers(report: RiskReport) -> str:
    """The `repr` of a float has every bit."""
    measures = sorted(report.measures.items())
    return repr((str(report.status), str(report.decision), measures, report.input_hash))
