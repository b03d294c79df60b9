"""Answers of blocks as reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
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
    head, columns, errors = answer.head, answer.columns, answer.errors
    decisions = [GRAVITY[index] for index in answer.decisions.tolist()]
    hashes: Sequence[str | None] = answer.input_hashes or [None] * len(answer)
    # Most rows have no breaches; a lookup for each row would be slow.
    breaches = {row: tuple(of_row) for row, of_row in answer.breaches.items()}
    gaps, explanations = answer.gaps, answer.explanations
    return [
        RiskReport(
            portfolio_id=portfolio_id,
            market_id=head.market_id,
            limits_version=head.limits_version,
            as_of=head.as_of,
            status=_ERROR if row in errors else _OK,
            decision=decisions[row],
            measures={} if row in errors else _MeasureRow(columns, row),
            breaches=breaches.get(row, ()),
            not_evaluated=tuple(gaps[row]) if row in gaps else (),
            input_hash=None if row in errors else hashes[row],
            timings=head.timings,
            error=errors.get(row),
            explanation=explanations.get(row),
        )
        for row, portfolio_id in enumerate(portfolio_ids)
    ]


# Naming a member of an enumeration looks it up each time.
_OK, _ERROR = ReportStatus.OK, ReportStatus.ERROR
#: by the number of an outcome, whether there is a number, its status, and the reason
_OUTCOMES = [(outcome.has_value, outcome.status.value, outcome.reason) for outcome in Outcome]


@lru_cache(4_096)
def _unit(name: str) -> str:
    """Return the unit of a measure; cached, because all reports name the same measures."""
    return MeasureName.parse(name).definition.unit.value


class _MeasureRow(Mapping[str, Measure]):
    """The measures of one portfolio, read from the columns of its block at each access."""

    __slots__ = ("_columns", "_row")

    def __init__(self, columns: Mapping[str, MeasureColumn], row: int) -> None:
        self._columns = columns
        self._row = row

    def __getitem__(self, name: str) -> Measure:
        column = self._columns[name]
        has_value, status, reason = _OUTCOMES[column.outcomes.item(self._row)]
        value = column.values.item(self._row) if has_value else None
        return Measure(value, _unit(name), status, reason)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return repr(dict(self))
