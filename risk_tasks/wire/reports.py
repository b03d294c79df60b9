"""Answers of blocks as reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from risk_tasks.model.column import Outcome
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.report import GRAVITY, Measure, ReportStatus, RiskReport
from risk_tasks.wire.answer import AnswerBlock


def reports(portfolio_ids: Sequence[str], answers: Sequence[AnswerBlock]) -> list[RiskReport]:
    """Return one report for each row of `answers`, whose portfolios are named in their order."""
    names = iter(portfolio_ids)
    return [report for answer in answers for report in _reports(islice(names, len(answer)), answer)]


def _reports(portfolio_ids: Iterable[str], answer: AnswerBlock) -> list[RiskReport]:
    stamp = answer.stamp
    as_of = datetime.fromisoformat(stamp.as_of) if stamp.as_of else None
    columns = [
        (name, MeasureName.parse(name).definition.unit.value, column.values, column.outcomes)
        for name, column in answer.columns.items()
    ]
    return [
        RiskReport(
            portfolio_id=portfolio_id,
            market_id=stamp.market_id,
            limits_version=stamp.limits_version,
            as_of=as_of,
            status=ReportStatus.ERROR if row in answer.errors else ReportStatus.OK,
            decision=GRAVITY[answer.decisions[row]],
            measures={}
            if row in answer.errors
            else {
                name: _measure(values[row], unit, Outcome(outcomes[row]))
                for name, unit, values, outcomes in columns
            },
            breaches=tuple(answer.breaches.get(row, ())),
            not_evaluated=tuple(answer.gaps.get(row, ())),
            input_hash=answer.input_hashes[row]
            if answer.input_hashes and row not in answer.errors
            else None,
            timings=stamp.timings,
            error=answer.errors.get(row),
        )
        for row, portfolio_id in enumerate(portfolio_ids)
    ]


def _measure(value: float, unit: str, outcome: Outcome) -> Measure:
    return Measure(
        float(value) if outcome.has_value else None, unit, outcome.status.value, outcome.reason
    )
