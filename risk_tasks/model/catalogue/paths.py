"""Random paths of a covariance."""

from __future__ import annotations

from risk_tasks.model.definition import MeasureDefinition, Qualifier, Unit

_GLASSERMAN = "Glasserman, Monte Carlo Methods in Financial Engineering (2003), ch. 2.3, 9.1"

DEFINITIONS = (
    MeasureDefinition(
        name="monte_carlo_value_at_risk",
        summary="Value-at-risk of random paths of the covariance, with zero mean",
        formula="value_at_risk of n_paths draws of V' L z, L L' = Cov(r), z of"
        " `distribution` with mean 0 and covariance 1",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`window_too_short` below 2 observations, `too_few_paths` below 1 / alpha;"
        " `covariance_repaired` has the nearest covariance, `covariance_refused`",
        source=_GLASSERMAN,
        cost_us=170.0,
        qualifier=Qualifier.CONFIDENCE,
        by_path=True,
    ),
    MeasureDefinition(
        name="monte_carlo_expected_shortfall",
        summary="Expected shortfall of random paths of the covariance, with zero mean",
        formula="expected_shortfall of the same draws",
        unit=Unit.CURRENCY,
        sign="loss positive, never below monte_carlo_value_at_risk",
        gaps="as monte_carlo_value_at_risk",
        source=_GLASSERMAN,
        cost_us=170.0,
        qualifier=Qualifier.CONFIDENCE,
        by_path=True,
    ),
    MeasureDefinition(
        name="covariance_repair",
        summary="How far the market's own covariance had to be moved to be one of returns",
        formula="norm(S - S~) / norm(S), Frobenius; S~ has no eigenvalue below 0 and the"
        " diagonal of S; 0 without a covariance in the market",
        unit=Unit.FRACTION,
        sign="never negative; of the market, and so the same for all portfolios",
        source="Rebonato, Jäckel, The most general methodology to create a valid"
        " correlation matrix, Journal of Risk 2 (1999)",
        cost_us=0.1,
    ),
)
