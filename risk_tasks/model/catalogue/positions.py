"""What one instrument does to the risk of a book."""

from __future__ import annotations

from risk_tasks.model.definition import MeasureDefinition, Qualifier, Unit

DEFINITIONS = (
    MeasureDefinition(
        name="marginal_value_at_risk",
        summary="What the parametric VaR gains for each unit more of an instrument's value",
        formula="z(c) x cov(r_i, P&L) / sd x sqrt(h)",
        unit=Unit.FRACTION,
        sign="adds to the VaR positive, hedges negative; also of what is not held",
        gaps="`window_too_short` below 2 observations, `missing_returns`",
        source="Jorion, Value at Risk, 3rd ed., ch. 7.2",
        cost_us=17.0,
        qualifier=Qualifier.INSTRUMENT,
    ),
    MeasureDefinition(
        name="component_value_at_risk",
        summary="An instrument's part of the parametric VaR; all parts sum to it",
        formula="V_i x marginal_value_at_risk",
        unit=Unit.CURRENCY,
        sign="adds to the VaR positive, hedges negative",
        gaps="`window_too_short` below 2 observations",
        source="Jorion, Value at Risk, 3rd ed., ch. 7.2",
        cost_us=16.0,
        qualifier=Qualifier.INSTRUMENT,
    ),
    MeasureDefinition(
        name="incremental_value_at_risk",
        summary="The parametric VaR less that of the book without the instrument",
        formula="VaR(book) - VaR(book without i)",
        unit=Unit.CURRENCY,
        sign="adds to the VaR positive, hedges negative",
        gaps="`window_too_short` below 2 observations",
        source="Jorion, Value at Risk, 3rd ed., ch. 7.2",
        cost_us=10.0,
        qualifier=Qualifier.INSTRUMENT,
    ),
    MeasureDefinition(
        name="component_expected_shortfall",
        summary="An instrument's part of the expected shortfall; all parts sum to it",
        formula="tail-weighted mean of -V_i r_ti x sqrt(h)",
        unit=Unit.CURRENCY,
        sign="adds to the shortfall positive, hedges negative",
        gaps="`window_too_short` below 1 / alpha",
        source="Tasche, Risk contributions and performance measurement (1999)",
        cost_us=9.0,
        qualifier=Qualifier.INSTRUMENT,
    ),
    MeasureDefinition(
        name="beta",
        summary="How far the book moves with an instrument, for its net asset value",
        formula="cov(P&L, r_m) / var(r_m) / NAV",
        unit=Unit.RATIO,
        sign="moves with it positive, against it negative",
        gaps="`nav_unknown`, `nav_not_positive`, `window_too_short` below 2 observations, "
        "`missing_returns`, `no_variance`",
        source="Bacon, Practical Portfolio Performance Measurement, 2nd ed., ch. 4",
        cost_us=29.0,
        qualifier=Qualifier.INSTRUMENT,
    ),
)
