"""Named scenarios."""

from __future__ import annotations

from risk_tasks.model.definition import MeasureDefinition, Qualifier, Unit

DEFINITIONS = (
    MeasureDefinition(
        name="stress_loss",
        summary="Loss under a named scenario of price changes, or a replay of the past",
        formula="-sum of V x shock, of quantity x move where it is absolute",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`not_in_scenario`, `unknown_scenario`; `partly_covered` leans on a fallback",
        source="definition",
        cost_us=0.4,
        qualifier=Qualifier.SCENARIO,
    ),
    MeasureDefinition(
        name="stress_coverage",
        summary="Share of gross exposure of which a scenario says what happens to it",
        formula="sum of |V| that the scenario covers / (L + S)",
        unit=Unit.FRACTION,
        sign="0 to 1; 1 where it tells all, and for a book without exposure",
        gaps="`unknown_scenario`",
        source="definition",
        cost_us=0.4,
        qualifier=Qualifier.SCENARIO,
    ),
    MeasureDefinition(
        name="worst_stress_loss",
        summary="The largest stress loss over all scenarios of the market",
        formula="max over scenarios of stress_loss",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`not_in_scenario` where any of them is, `unknown_scenario` without any",
        source="definition",
        cost_us=0.4,
    ),
)
