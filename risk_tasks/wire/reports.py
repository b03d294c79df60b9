"""Answers of blocks as reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.report import GRAVITY, Measure, ReportStatus, RiskReport
from risk_tasks.wire.answer import AnswerBlock


def reports(portfolio_ids: Sequence[str], answers: Sequence[AnswerBlock]) -> list[RiskReport]:
    """Return one report for each row of `answers`, whose portfolios are named in their order."""
    names = iter(portfolio_ids)
    return [report for answer in answers for report in _reports(islice(names, len(answer)), answer)]


def _reports(portfolio_ids: Iterable[str], answer: AnswerBlock) -> list[RiskReport]:
    head = answer.head
    decisions = answer.decisions.tolist()
    return [
        RiskReport(
            portfolio_id=portfolio_id,
            market_id=head.market_id,
            limits_version=head.limits_version,
            as_of=head.as_of,
            status=ReportStatus.ERROR if row in answer.errors else ReportStatus.OK,
            decision=GRAVITY[decisions[row]],
            measures={} if row in answer.errors else _MeasureRow(answer.columns, row),
            breaches=tuple(answer.breaches.get(row, ())),
            not_evaluated=tuple(answer.gaps.get(row, ())),
            input_hash=answer.input_hashes[row]
            if answer.input_hashes and row not in answer.errors
            else None,
            timings=head.timings,
            error=answer.errors.get(row),
            explanation=answer.explanations.get(row),
        )
        for row, portfolio_id in enumerate(portfolio_ids)
    ]


class _MeasureRow(Mapping[str, Measure]):
    """The measures of one portfolio, read from the columns of its block when somebody asks."""

    __slots__ = ("_columns", "_row")

    def __init__(self, columns: Mapping[str, MeasureColumn], row: int) -> None:
        self._columns = columns
        self._row = row

    def __getitem__(self, name: str) -> Measure:
        column = self._columns[name]
        outcome = Outcome(column.outcomes[self._row])
        return Measure(
            float(column.values[self._row]) if outcome.has_value else None,
            MeasureName.parse(name).definition.unit.value,
            outcome.status.value,
            outcome.reason,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return repr(dict(self))
