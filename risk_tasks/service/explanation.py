"""Breaches with contributors and scenarios, as a report has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

import numpy as np

from risk_tasks.decisions import Evaluation, FoundBreach
from risk_tasks.engine import MarketArrays, PortfolioBlock, contributions, outcomes_behind
from risk_tasks.engine.computation import FloatArray
from risk_tasks.model.limits import Comparison, Limit
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.model.report import Breach, Contributor, NotEvaluated, TailScenario

#: the largest number of positions, and of past observations, of a breach
N_CONTRIBUTORS = 5


def explain_breaches(
    evaluation: Evaluation,
    block: PortfolioBlock,
    market: MarketArrays,
    settings: MeasureSettings,
) -> dict[int, list[Breach]]:
    """Return breaches by row, in the order of the limits."""
    names = list(market.index) if evaluation.breaches else []
    explained: dict[int, list[Breach]] = defaultdict(list)
    for found in evaluation.breaches:
        name = found.limit.measure_name
        parts = contributions(block, market, name, settings, found.row)
        held = block.row(found.row).instrument
        explained[found.row].append(
            Breach(
                limit=found.limit.id,
                measure=found.limit.measure,
                observed=found.observed,
                threshold=found.threshold,
                unit=name.definition.unit.value,
                utilisation=found.utilisation,
                severity=found.severity.value,
                contributors=_top(found, parts, [names[i] for i in held]),
                scenarios=tuple(
                    TailScenario(at, _date_of(market, at), pnl)
                    for at, pnl in outcomes_behind(
                        block, market, name, settings, found.row, N_CONTRIBUTORS
                    )
                ),
            )
        )
    return explained


def _date_of(market: MarketArrays, observation: int) -> date | None:
    dates = market.dates
    return None if dates is None else dates[observation].item()


def _top(found: FoundBreach, parts: FloatArray, names: Sequence[str]) -> tuple[Contributor, ...]:
    """Return the positions that contribute most to the breach, the largest first."""
    with np.errstate(all="ignore"):
        shares = parts / parts.sum()
    against = found.limit.comparison is Comparison.BELOW or (
        found.limit.comparison is Comparison.ABSOLUTE and found.observed < 0
    )
    pushing = -parts if against else parts
    order = np.argsort(-pushing, kind="stable")[:N_CONTRIBUTORS]
    return tuple(
        Contributor(
            names[i],
            float(parts[i]),
            float(shares[i]) if np.isfinite(shares[i]) else None,
        )
        for i in order
        if pushing[i] > 0 and np.isfinite(parts[i])
    )


def explain_gaps(evaluation: Evaluation) -> dict[int, list[NotEvaluated]]:
    """Return by row the limits that could not be evaluated, or on a short window only.

    A limit set that rejects portfolios without a limit is listed as if it were a limit.
    """
    explained: dict[int, list[NotEvaluated]] = defaultdict(list)
    for gap in evaluation.gaps:
        explained[gap.row].append(
            NotEvaluated(
                limit=gap.limit.id if isinstance(gap.limit, Limit) else gap.limit.unmatched_id,
                measure=gap.limit.measure if isinstance(gap.limit, Limit) else "",
                reason=gap.reason,
                missing_data=gap.rule,
            )
        )
    return explained
