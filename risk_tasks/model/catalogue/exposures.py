"""What is held: exposures, and shares of them."""

from __future__ import annotations

from risk_tasks.model.definition import MeasureDefinition, Unit

DEFINITIONS = (
    MeasureDefinition(
        name="market_value",
        summary="What the positions are worth",
        formula="sum of V, V = quantity x price",
        unit=Unit.CURRENCY,
        sign="long positive, short negative",
        source="definition",
        cost_us=0.2,
    ),
    MeasureDefinition(
        name="gross_exposure",
        summary="Long plus short exposure",
        formula="L + S",
        unit=Unit.CURRENCY,
        sign="never negative",
        source="definition",
        cost_us=0.1,
    ),
    MeasureDefinition(
        name="net_exposure",
        summary="Long less short exposure",
        formula="L - S",
        unit=Unit.CURRENCY,
        sign="net long positive",
        source="definition",
        cost_us=0.1,
    ),
    MeasureDefinition(
        name="long_exposure",
        summary="What is held long",
        formula="L = sum of max(V, 0)",
        unit=Unit.CURRENCY,
        sign="never negative",
        source="definition",
        cost_us=0.1,
    ),
    MeasureDefinition(
        name="short_exposure",
        summary="What is held short",
        formula="S = sum of max(-V, 0)",
        unit=Unit.CURRENCY,
        sign="never negative",
        source="definition",
        cost_us=0.1,
    ),
    MeasureDefinition(
        name="gross_leverage",
        summary="Gross exposure over net asset value",
        formula="(L + S) / NAV",
        unit=Unit.RATIO,
        sign="never negative; undefined for an unknown or non-positive NAV",
        gaps="`nav_unknown`, `nav_not_positive`, `zero_gross`",
        source="definition",
        cost_us=0.2,
    ),
    MeasureDefinition(
        name="concentration",
        summary="The largest position's share of gross exposure",
        formula="max |V| / (L + S)",
        unit=Unit.FRACTION,
        sign="0 to 1; undefined for a book without exposure",
        gaps="`zero_gross`",
        source="definition",
        cost_us=0.2,
    ),
    MeasureDefinition(
        name="herfindahl",
        summary="Herfindahl-Hirschman index of the shares of gross exposure",
        formula="sum of (|V| / (L + S))^2",
        unit=Unit.FRACTION,
        sign="1/n to 1; undefined for a book without exposure",
        gaps="`zero_gross`",
        source="Hirschman, The Paternity of an Index, AER 54 (1964)",
        cost_us=0.2,
    ),
)
