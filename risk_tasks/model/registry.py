"""The registry: the definition of each measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Unit(StrEnum):
    """The unit of a measure."""

    #: the portfolio's base currency
    CURRENCY = "ccy"
    #: a share: 0.25 is a quarter
    FRACTION = "fraction"
    #: a multiple of the net asset value
    RATIO = "ratio"


class Qualifier(StrEnum):
    """The kind of qualifier that follows the name of a measure."""

    NONE = "none"
    CONFIDENCE = "confidence"
    SCENARIO = "scenario"
    INSTRUMENT = "instrument"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The values of a measure; a bound that is None does not exist.

    A value is `lowest` at least and `highest` at most. An ordinary book is one with positions that
    do not hedge each other exactly: its value is above `ordinary_lowest` and at most
    `ordinary_highest`, although other values are possible.
    """

    lowest: float | None = None
    highest: float | None = None
    ordinary_lowest: float | None = None
    ordinary_highest: float | None = None


_NEVER_NEGATIVE = Range(lowest=0.0)
#: of deviations and exposures of a book with positions
_POSITIVE = Range(lowest=0.0, ordinary_lowest=0.0)
_SHARE = Range(lowest=0.0, highest=1.0)
#: of losses in the tail: a book may gain even there, but few do
_TAIL_LOSS = Range(ordinary_lowest=0.0)

#: the number of paths for which the costs of the Monte Carlo measures are given
REGISTRY_PATHS = 10_000
#: assumed cost of a look-up in the result cache, microseconds per check: four times the measured
#: cost (`python -m benchmarks cache`), which allows for storing the result and a remote server
LOOK_UP_US = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureDefinition:
    """The definition of one measure."""

    name: str
    summary: str
    formula: str
    unit: Unit
    #: the meaning of the sign
    sign: str
    #: reasons for a missing value, and their conditions
    gaps: str = ""
    source: str
    #: microseconds for one check of 20 positions over 1,000 observations in a block of 1,000
    cost_us: float
    qualifier: Qualifier = Qualifier.NONE
    #: whether `cost_us` is for `REGISTRY_PATHS` paths and grows with their number
    by_path: bool = False
    #: whether it is computed from past outcomes, whose number is part of the result
    of_past: bool = False
    range: Range = Range()

    def cost_of(self, n_paths: int) -> float:
        """Return `cost_us`, scaled to `n_paths` for a Monte Carlo measure."""
        return self.cost_us * n_paths / REGISTRY_PATHS if self.by_path else self.cost_us

    def is_looked_up(self, n_paths: int) -> bool:
        """Whether computing it costs more than a look-up in the result cache."""
        return self.cost_of(n_paths) > LOOK_UP_US

    @property
    def spelling(self) -> str:
        """The form of the name in a request, with optional parts in brackets."""
        return self.name + _SUFFIX[self.qualifier]


_SUFFIX = {
    Qualifier.NONE: "",
    Qualifier.CONFIDENCE: "[@0.95]",
    Qualifier.SCENARIO: ":NAME",
    Qualifier.INSTRUMENT: ":INSTRUMENT",
}


_EXPOSURES = (
    MeasureDefinition(
        name="market_value",
        summary="Value of all positions",
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
        range=_POSITIVE,
    ),
    MeasureDefinition(
        name="net_exposure",
        summary="Long minus short exposure",
        formula="L - S",
        unit=Unit.CURRENCY,
        sign="net long positive",
        source="definition",
        cost_us=0.1,
    ),
    MeasureDefinition(
        name="long_exposure",
        summary="Value of the long positions",
        formula="L = sum of max(V, 0)",
        unit=Unit.CURRENCY,
        sign="never negative",
        source="definition",
        cost_us=0.1,
        range=_NEVER_NEGATIVE,
    ),
    MeasureDefinition(
        name="short_exposure",
        summary="Value of the short positions, without its sign",
        formula="S = sum of max(-V, 0)",
        unit=Unit.CURRENCY,
        sign="never negative",
        source="definition",
        cost_us=0.1,
        range=_NEVER_NEGATIVE,
    ),
    MeasureDefinition(
        name="gross_leverage",
        summary="Gross exposure divided by net asset value",
        formula="(L + S) / NAV",
        unit=Unit.RATIO,
        sign="never negative; undefined for an unknown or non-positive NAV",
        gaps="`nav_unknown`, `nav_not_positive`, `zero_gross`",
        source="definition",
        cost_us=0.2,
        range=Range(lowest=0.0, ordinary_lowest=0.0, ordinary_highest=20.0),
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
        range=Range(lowest=0.0, highest=1.0, ordinary_lowest=0.0),
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
        range=Range(lowest=0.0, highest=1.0, ordinary_lowest=0.0),
    ),
)


_HULL = "Hull, Options, Futures and Other Derivatives, 10th ed., ch. 22"
_INTERVAL = "David, Nagaraja, Order Statistics, 3rd ed. (2003), ch. 7.1"
_MFE = "McNeil, Frey, Embrechts, Quantitative Risk Management, 2nd ed. (2015), ch. 2.3"

_PAST = (
    MeasureDefinition(
        name="volatility",
        summary="Standard deviation of P&L over the horizon",
        formula="sd(P&L, ddof 1) x sqrt(h) = sqrt(V' Cov V) x sqrt(h)",
        unit=Unit.CURRENCY,
        sign="never negative",
        gaps="`window_too_short` below 2 observations",
        source=_HULL + ".4",
        cost_us=5.2,
        of_past=True,
        range=_POSITIVE,
    ),
    MeasureDefinition(
        name="value_at_risk",
        summary="Historical value-at-risk",
        formula="k-th worst P&L x sqrt(h), k = ceil(n (1 - c)) under `conservative`",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`window_too_short` below 1 / alpha",
        source=_HULL + ".2",
        cost_us=5.8,
        of_past=True,
        qualifier=Qualifier.CONFIDENCE,
        range=_TAIL_LOSS,
    ),
    MeasureDefinition(
        name="expected_shortfall",
        summary="Historical expected shortfall (coherent form)",
        formula="(sum of the k-1 worst + (n a - k + 1) x k-th worst) / (n a) x sqrt(h)",
        unit=Unit.CURRENCY,
        sign="loss positive, never below value_at_risk",
        gaps="`window_too_short` below 1 / alpha",
        source="Acerbi, Tasche, On the coherence of expected shortfall, JBF 26 (2002), §4",
        cost_us=5.9,
        of_past=True,
        qualifier=Qualifier.CONFIDENCE,
        range=_TAIL_LOSS,
    ),
    MeasureDefinition(
        name="parametric_value_at_risk",
        summary="Normal value-at-risk with zero mean",
        formula="z(c) x volatility",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`window_too_short` below 2 observations",
        source=_HULL + ".4",
        cost_us=5.3,
        of_past=True,
        qualifier=Qualifier.CONFIDENCE,
        range=_TAIL_LOSS,
    ),
    MeasureDefinition(
        name="value_at_risk_lower",
        summary="Lower bound of the 95 % confidence interval of the historical VaR",
        formula="u-th worst P&L x sqrt(h), u - 1 the smallest x with P(X <= x) >= 0.975,"
        " X binomial (n, alpha)",
        unit=Unit.CURRENCY,
        sign="loss positive, never above value_at_risk",
        gaps="`window_too_short` below 1 / alpha, `open_ended` if u is beyond n, `overlapping`",
        source=_INTERVAL,
        cost_us=6.2,
        of_past=True,
        qualifier=Qualifier.CONFIDENCE,
        range=_TAIL_LOSS,
    ),
    MeasureDefinition(
        name="value_at_risk_upper",
        summary="Upper bound of the 95 % confidence interval of the historical VaR",
        formula="l-th worst P&L x sqrt(h), l the smallest x with P(X <= x) >= 0.025,"
        " X binomial (n, alpha)",
        unit=Unit.CURRENCY,
        sign="loss positive, never below value_at_risk",
        gaps="`window_too_short` below 1 / alpha, `open_ended` if l is 0, `overlapping`",
        source=_INTERVAL,
        cost_us=5.5,
        of_past=True,
        qualifier=Qualifier.CONFIDENCE,
        range=_TAIL_LOSS,
    ),
    MeasureDefinition(
        name="semi_deviation",
        summary="Deviation of the outcomes below the mean P&L",
        formula="sqrt(sum of min(P&L - mean, 0)^2 / (n - 1)) x sqrt(h)",
        unit=Unit.CURRENCY,
        sign="never negative, never above volatility",
        gaps="`window_too_short` below 2 observations",
        source="Markowitz, Portfolio Selection (1959), ch. 9",
        cost_us=11.0,
        of_past=True,
        range=_POSITIVE,
    ),
    MeasureDefinition(
        name="shrunk_volatility",
        summary="Volatility from a covariance shrunk towards equal variances without correlation",
        formula="sqrt(V' S* V) x sqrt(h), S* = (1 - s) S + s mu I of the instruments held;"
        " S over n, mu = tr S / m, s = min(b, d) / d, d = |S - mu I|^2,"
        " b = sum of |x_t x_t' - S|^2 / n^2",
        unit=Unit.CURRENCY,
        sign="never negative",
        gaps="`window_too_short` below 2 observations, `overlapping`",
        source="Ledoit, Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance"
        " Matrices, Journal of Multivariate Analysis 88 (2004)",
        cost_us=110.0,
        of_past=True,
        range=_POSITIVE,
    ),
    MeasureDefinition(
        name="student_value_at_risk",
        summary="Student-t value-at-risk with zero mean",
        formula="-t_nu^-1(alpha) x sqrt((nu - 2) / nu) x volatility",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`window_too_short` below 2 observations",
        source=_MFE,
        cost_us=5.0,
        of_past=True,
        qualifier=Qualifier.CONFIDENCE,
        range=_TAIL_LOSS,
    ),
    MeasureDefinition(
        name="student_expected_shortfall",
        summary="Student-t expected shortfall with zero mean",
        formula="f_nu(t) / alpha x (nu + t^2) / (nu - 1) x sqrt((nu - 2) / nu)"
        " x volatility, t = t_nu^-1(alpha)",
        unit=Unit.CURRENCY,
        sign="loss positive, never below student_value_at_risk",
        gaps="`window_too_short` below 2 observations",
        source=_MFE,
        cost_us=5.0,
        of_past=True,
        qualifier=Qualifier.CONFIDENCE,
        range=_TAIL_LOSS,
    ),
    MeasureDefinition(
        name="cornish_fisher_value_at_risk",
        summary="Normal value-at-risk with mean, corrected for skewness and kurtosis",
        formula="-(mean + q x sd) x sqrt(h), q = z + (z^2 - 1) S / 6 + (z^3 - 3z) K / 24"
        " - (2z^3 - 5z) S^2 / 36, z = z(alpha); moments over n, K excess",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`window_too_short` below 2 observations; `outside_domain` (uses q = z)",
        source="Favre, Galeano, Mean-Modified Value-at-Risk Optimization, JAI 5 (2002)",
        cost_us=13.0,
        of_past=True,
        qualifier=Qualifier.CONFIDENCE,
        range=_TAIL_LOSS,
    ),
    MeasureDefinition(
        name="ewma_volatility",
        summary="Exponentially weighted volatility with zero mean",
        formula="sqrt(sum of w_k P&L_(T-k)^2) x sqrt(h), w_k = (1 - d) d^k / (1 - d^n)",
        unit=Unit.CURRENCY,
        sign="never negative",
        gaps="`window_too_short` below 2 observations, `overlapping`",
        source="J.P. Morgan/Reuters, RiskMetrics Technical Document, 4th ed. (1996), ch. 5",
        cost_us=11.0,
        of_past=True,
        range=_POSITIVE,
    ),
    MeasureDefinition(
        name="age_weighted_value_at_risk",
        summary="Historical value-at-risk that weights recent observations most",
        formula="smallest loss at which the weights, summed from the worst outcome, reach alpha,"
        " x sqrt(h); w_k proportional to age_decay^k, k = age in observations",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`window_too_short` below 1 / alpha",
        source="Boudoukh, Richardson, Whitelaw, The Best of Both Worlds, Risk 11 (1998)",
        cost_us=27.0,
        of_past=True,
        qualifier=Qualifier.CONFIDENCE,
        range=_TAIL_LOSS,
    ),
    MeasureDefinition(
        name="filtered_value_at_risk",
        summary="Historical value-at-risk of P&L scaled to current volatility",
        formula="value_at_risk of the portfolio's P&L_t x s_(n+1) / s_t,"
        " s_(t+1)^2 = d s_t^2 + (1 - d) P&L_t^2, s_1^2 = mean of P&L^2",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`window_too_short` below 1 / alpha outcomes with s_t > 0, `overlapping`",
        source="Hull, White, Incorporating Volatility Updating into the Historical"
        " Simulation Method for VaR, Journal of Risk 1 (1998)",
        cost_us=18.0,
        of_past=True,
        qualifier=Qualifier.CONFIDENCE,
        range=_TAIL_LOSS,
    ),
)


_GLASSERMAN = "Glasserman, Monte Carlo Methods in Financial Engineering (2003), ch. 2.3, 9.1"

_PATHS = (
    MeasureDefinition(
        name="monte_carlo_value_at_risk",
        summary="Value-at-risk of random paths drawn from the covariance, with zero mean",
        formula="value_at_risk of n_paths draws of V' L z, L L' = Cov(r), z of"
        " `distribution` with mean 0 and covariance 1",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`window_too_short` below 2 observations, `too_few_paths` below 1 / alpha;"
        " `covariance_repaired` (uses the repaired matrix), `covariance_refused`",
        source=_GLASSERMAN,
        cost_us=170.0,
        of_past=True,
        qualifier=Qualifier.CONFIDENCE,
        by_path=True,
        range=_TAIL_LOSS,
    ),
    MeasureDefinition(
        name="monte_carlo_expected_shortfall",
        summary="Expected shortfall of random paths drawn from the covariance, with zero mean",
        formula="expected_shortfall of the same draws",
        unit=Unit.CURRENCY,
        sign="loss positive, never below monte_carlo_value_at_risk",
        gaps="as monte_carlo_value_at_risk",
        source=_GLASSERMAN,
        cost_us=170.0,
        of_past=True,
        qualifier=Qualifier.CONFIDENCE,
        by_path=True,
        range=_TAIL_LOSS,
    ),
    MeasureDefinition(
        name="covariance_repair",
        summary="Relative size of the repair of the market's own covariance",
        formula="norm(S - S~) / norm(S), Frobenius; S~ has the diagonal of S and no"
        " negative eigenvalue; 0 without a covariance in the market",
        unit=Unit.FRACTION,
        sign="never negative; the same for all portfolios of a market",
        source="Rebonato, Jäckel, The most general methodology to create a valid"
        " correlation matrix, Journal of Risk 2 (1999)",
        cost_us=0.1,
        range=Range(lowest=0.0, ordinary_highest=1.0),
    ),
)


_POSITIONS = (
    MeasureDefinition(
        name="marginal_value_at_risk",
        summary="Change of the parametric VaR per unit of additional value in an instrument",
        formula="z(c) x cov(r_i, P&L) / sd x sqrt(h)",
        unit=Unit.FRACTION,
        sign="positive if it adds to the VaR, negative if it hedges; also if it is not held",
        gaps="`window_too_short` below 2 observations, `missing_returns`",
        source="Jorion, Value at Risk, 3rd ed., ch. 7.2",
        cost_us=17.0,
        of_past=True,
        qualifier=Qualifier.INSTRUMENT,
        range=Range(ordinary_highest=1.0),
    ),
    MeasureDefinition(
        name="component_value_at_risk",
        summary="An instrument's contribution to the parametric VaR; contributions sum to it",
        formula="V_i x marginal_value_at_risk",
        unit=Unit.CURRENCY,
        sign="positive if it adds to the VaR, negative if it hedges",
        gaps="`window_too_short` below 2 observations",
        source="Jorion, Value at Risk, 3rd ed., ch. 7.2",
        cost_us=16.0,
        of_past=True,
        qualifier=Qualifier.INSTRUMENT,
    ),
    MeasureDefinition(
        name="incremental_value_at_risk",
        summary="Parametric VaR minus that of the book without the instrument",
        formula="VaR(book) - VaR(book without i)",
        unit=Unit.CURRENCY,
        sign="positive if it adds to the VaR, negative if it hedges",
        gaps="`window_too_short` below 2 observations",
        source="Jorion, Value at Risk, 3rd ed., ch. 7.2",
        cost_us=10.0,
        of_past=True,
        qualifier=Qualifier.INSTRUMENT,
    ),
    MeasureDefinition(
        name="component_expected_shortfall",
        summary="An instrument's contribution to the expected shortfall; contributions sum to it",
        formula="tail-weighted mean of -V_i r_ti x sqrt(h)",
        unit=Unit.CURRENCY,
        sign="positive if it adds to the shortfall, negative if it hedges",
        gaps="`window_too_short` below 1 / alpha",
        source="Tasche, Risk contributions and performance measurement (1999)",
        cost_us=9.0,
        of_past=True,
        qualifier=Qualifier.INSTRUMENT,
    ),
    MeasureDefinition(
        name="beta",
        summary="Sensitivity of the return on net asset value to an instrument's return",
        formula="cov(P&L, r_m) / var(r_m) / NAV",
        unit=Unit.RATIO,
        sign="positive if the book moves with the instrument, else negative",
        gaps="`nav_unknown`, `nav_not_positive`, `window_too_short` below 2 observations, "
        "`missing_returns`, `no_variance`",
        source="Bacon, Practical Portfolio Performance Measurement, 2nd ed., ch. 4",
        cost_us=29.0,
        of_past=True,
        qualifier=Qualifier.INSTRUMENT,
        range=Range(ordinary_highest=20.0),
    ),
)


_STRESS = (
    MeasureDefinition(
        name="stress_loss",
        summary="Loss under a named scenario of price changes, or a replay of the past",
        formula="-sum of V x shock, or of quantity x move for an absolute change",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`not_in_scenario`, `unknown_scenario`; `partly_covered` (uses the fallback)",
        source="definition",
        cost_us=0.4,
        qualifier=Qualifier.SCENARIO,
    ),
    MeasureDefinition(
        name="stress_coverage",
        summary="Share of gross exposure for which a scenario gives a price change",
        formula="sum of |V| that the scenario covers / (L + S)",
        unit=Unit.FRACTION,
        sign="0 to 1; 1 if it covers the whole book, and for a book without exposure",
        gaps="`unknown_scenario`",
        source="definition",
        cost_us=0.4,
        qualifier=Qualifier.SCENARIO,
        range=_SHARE,
    ),
    MeasureDefinition(
        name="worst_stress_loss",
        summary="The largest stress loss over all scenarios of the market",
        formula="max over scenarios of stress_loss",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`not_in_scenario` if a scenario has it, `unknown_scenario` without scenarios",
        source="definition",
        cost_us=0.4,
    ),
)


MEASURES: Mapping[str, MeasureDefinition] = MappingProxyType(
    {
        definition.name: definition
        for definition in (*_EXPOSURES, *_PAST, *_PATHS, *_POSITIONS, *_STRESS)
    }
)

#: the measures of `measures=None`; new measures are never added to it
STANDARD_MEASURES = (
    "market_value",
    "gross_exposure",
    "net_exposure",
    "long_exposure",
    "short_exposure",
    "gross_leverage",
    "concentration",
    "herfindahl",
    "volatility",
    "value_at_risk",
    "expected_shortfall",
    "parametric_value_at_risk",
)
