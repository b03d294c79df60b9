"""Answers of blocks as reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.report import GRAVITY, Measure, MeasureStatus, ReportStatus, RiskReport
from risk_tasks.wire.answer import AnswerBlock

_OK = MeasureStatus.OK.value


def reports(portfolio_ids: Sequence[str], answers: Sequence[AnswerBlock]) -> list[RiskReport]:
    """Return one report for each row of `answers`, whose portfolios are named in their order."""
    names = iter(portfolio_ids)
    return [report for answer in answers for report in _reports(islice(names, len(answer)), answer)]


def _reports(portfolio_ids: Iterable[str], answer: AnswerBlock) -> list[RiskReport]:
    stamp = answer.stamp
    as_of = datetime.fromisoformat(stamp.as_of) if stamp.as_of else None
    measures = [dict(zip(answer.columns, row, strict=True)) for row in _rows(answer)]
    return [
        RiskReport(
            portfolio_id=portfolio_id,
            market_id=stamp.market_id,
            limits_version=stamp.limits_version,
            as_of=as_of,
            status=ReportStatus.ERROR if row in answer.errors else ReportStatus.OK,
            decision=GRAVITY[answer.decisions[row]],
            measures={} if row in answer.errors or not measures else measures[row],
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


def _rows(answer: AnswerBlock) -> Iterator[tuple[Measure, ...]]:
    """Yield the measures of each portfolio, in the order of the columns."""
    return zip(*(_measures(name, column) for name, column in answer.columns.items()), strict=True)


def _measures(name: str, column: MeasureColumn) -> list[Measure]:
    unit = MeasureName.parse(name).definition.unit.value
    if not column.outcomes.any():
        return [Measure(value, unit, _OK) for value in column.values.tolist()]
    pairs = zip(column.values.tolist(), map(Outcome, column.outcomes.tolist()), strict=True)
    return [
        Measure(value if told.has_value else None, unit, told.status.value, told.reason)
        for value, told in pairs
    ]
