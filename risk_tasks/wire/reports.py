"""Answers of blocks as reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

from risk_tasks.model.column import NO_PAST, Outcome
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.quality import FindingKind
from risk_tasks.model.report import GRAVITY, Measure, MeasureStatus, ReportStatus, RiskReport
from risk_tasks.wire.answer import AnswerBlock


def reports(portfolio_ids: Sequence[str], answers: Sequence[AnswerBlock]) -> list[RiskReport]:
    """Return one report for each row of `answers`, whose portfolios are named in their order."""
    names = iter(portfolio_ids)
    return [report for answer in answers for report in _reports(islice(names, len(answer)), answer)]


def _reports(portfolio_ids: Iterable[str], answer: AnswerBlock) -> list[RiskReport]:
    head, errors = answer.head, answer.errors
    decisions = [GRAVITY[index] for index in answer.decisions.tolist()]
    hashes: Sequence[str | None] = answer.input_hashes or [None] * len(answer)
    # Most rows have no breaches; a lookup for each row would be slow.
    breaches = {row: tuple(of_row) for row, of_row in answer.breaches.items()}
    gaps, explanations = answer.gaps, answer.explanations
    limits_applied, data_quality = answer.limits_applied.tolist(), answer.data_quality
    return [
        RiskReport(
            portfolio_id=portfolio_id,
            market_id=head.market_id,
            limits_version=head.limits_version,
            as_of=head.as_of,
            status=_ERROR if row in errors else _OK,
            decision=decisions[row],
            measures={} if row in errors else _MeasureRow(answer, row),
            breaches=breaches.get(row, ()),
            not_evaluated=tuple(gaps[row]) if row in gaps else (),
            input_hash=None if row in errors else hashes[row],
            timings=head.timings,
            error=errors.get(row),
            explanation=explanations.get(row),
            limits_applied=limits_applied[row],
            data_quality=data_quality.get(row, ()),
        )
        for row, portfolio_id in enumerate(portfolio_ids)
    ]


# Naming a member of an enumeration looks it up each time.
_OK, _ERROR = ReportStatus.OK, ReportStatus.ERROR
#: by the number of an outcome, whether there is a number, its status, and the reason
_OUTCOMES = [(outcome.has_value, outcome.status.value, outcome.reason) for outcome in Outcome]


_FINE, _DEGRADED = MeasureStatus.OK.value, MeasureStatus.DEGRADED.value
_SHORT_WINDOW = FindingKind.SHORT_WINDOW.value


@lru_cache(4_096)
def _definition(name: str) -> tuple[str, bool]:
    """Return the unit of a measure and whether it is of the past.

    Cached, because all reports name the same measures.
    """
    definition = MeasureName.parse(name).definition
    return definition.unit.value, definition.of_past


class _MeasureRow(Mapping[str, Measure]):
    """The measures of one portfolio, read from the columns of its block at each access.

    A measure of the past is degraded if its window is short and it is ok otherwise.
    """

    __slots__ = ("_answer", "_row")

    def __init__(self, answer: AnswerBlock, row: int) -> None:
        self._answer = answer
        self._row = row

    def __getitem__(self, name: str) -> Measure:
        answer, row = self._answer, self._row
        column = answer.columns[name]
        has_value, status, reason = _OUTCOMES[column.outcomes.item(row)]
        value = column.values.item(row) if has_value else None
        unit, is_of_past = _definition(name)
        if not is_of_past:
            return Measure(value, unit, status, reason)
        if status == _FINE and answer.short.item(row):
            status, reason = _DEGRADED, _SHORT_WINDOW
        n_observations = answer.n_observations.item(row)
        counted = None if n_observations == NO_PAST else n_observations
        return Measure(value, unit, status, reason, counted)

    def __iter__(self) -> Iterator[str]:
        return iter(self._answer.columns)

    def __len__(self) -> int:
        return len(self._answer.columns)

    def __repr__(self) -> str:
        return repr(dict(self))
