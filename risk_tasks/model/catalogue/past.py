"""Past P&L: its spread, its tail, and distributions fitted to it."""

from __future__ import annotations

from risk_tasks.model.definition import MeasureDefinition, Qualifier, Unit

_HULL = "Hull, Options, Futures and Other Derivatives, 10th ed., ch. 22"
_INTERVAL = "David, Nagaraja, Order Statistics, 3rd ed. (2003), ch. 7.1"
_MFE = "McNeil, Frey, Embrechts, Quantitative Risk Management, 2nd ed. (2015), ch. 2.3"

DEFINITIONS = (
    MeasureDefinition(
        name="volatility",
        summary="Standard deviation of P&L over the horizon",
        formula="sd(P&L, ddof 1) x sqrt(h) = sqrt(V' Cov V) x sqrt(h)",
        unit=Unit.CURRENCY,
        sign="never negative",
        gaps="`window_too_short` below 2 observations",
        source=_HULL + ".4",
        cost_us=5.2,
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
        qualifier=Qualifier.CONFIDENCE,
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
        qualifier=Qualifier.CONFIDENCE,
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
        qualifier=Qualifier.CONFIDENCE,
    ),
    MeasureDefinition(
        name="value_at_risk_lower",
        summary="The smallest VaR that the historical one may be an estimate of (95 %)",
        formula="u-th worst P&L x sqrt(h), u - 1 the smallest x with P(X <= x) >= 0.975,"
        " X binomial (n, alpha)",
        unit=Unit.CURRENCY,
        sign="loss positive, never above value_at_risk",
        gaps="`window_too_short` below 1 / alpha, `open_ended` where u is beyond n, `overlapping`",
        source=_INTERVAL,
        cost_us=6.2,
        qualifier=Qualifier.CONFIDENCE,
    ),
    MeasureDefinition(
        name="value_at_risk_upper",
        summary="The largest VaR that the historical one may be an estimate of (95 %)",
        formula="l-th worst P&L x sqrt(h), l the smallest x with P(X <= x) >= 0.025,"
        " X binomial (n, alpha)",
        unit=Unit.CURRENCY,
        sign="loss positive, never below value_at_risk",
        gaps="`window_too_short` below 1 / alpha, `open_ended` where l is 0, `overlapping`",
        source=_INTERVAL,
        cost_us=5.5,
        qualifier=Qualifier.CONFIDENCE,
    ),
    MeasureDefinition(
        name="semi_deviation",
        summary="Spread of the P&L below its mean",
        formula="sqrt(sum of min(P&L - mean, 0)^2 / (n - 1)) x sqrt(h)",
        unit=Unit.CURRENCY,
        sign="never negative, never above volatility",
        gaps="`window_too_short` below 2 observations",
        source="Markowitz, Portfolio Selection (1959), ch. 9",
        cost_us=11.0,
    ),
    MeasureDefinition(
        name="shrunk_volatility",
        summary="Volatility, correlations and differences drawn in as far as few days ask",
        formula="sqrt(V' S* V) x sqrt(h), S* = (1 - s) S + s mu I of the instruments held;"
        " S over n, mu = tr S / m, s = min(b, d) / d, d = |S - mu I|^2,"
        " b = sum of |x_t x_t' - S|^2 / n^2",
        unit=Unit.CURRENCY,
        sign="never negative",
        gaps="`window_too_short` below 2 observations, `overlapping`",
        source="Ledoit, Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance"
        " Matrices, Journal of Multivariate Analysis 88 (2004)",
        cost_us=110.0,
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
        qualifier=Qualifier.CONFIDENCE,
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
        qualifier=Qualifier.CONFIDENCE,
    ),
    MeasureDefinition(
        name="cornish_fisher_value_at_risk",
        summary="Normal value-at-risk with mean, corrected for skewness and kurtosis",
        formula="-(mean + q x sd) x sqrt(h), q = z + (z^2 - 1) S / 6 + (z^3 - 3z) K / 24"
        " - (2z^3 - 5z) S^2 / 36, z = z(alpha); moments over n, K excess",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`window_too_short` below 2 observations; `outside_domain` has q = z",
        source="Favre, Galeano, Mean-Modified Value-at-Risk Optimization, JAI 5 (2002)",
        cost_us=13.0,
        qualifier=Qualifier.CONFIDENCE,
    ),
    MeasureDefinition(
        name="ewma_volatility",
        summary="Volatility with zero mean, the latest observations weighing most",
        formula="sqrt(sum of w_k P&L_(T-k)^2) x sqrt(h), w_k = (1 - d) d^k / (1 - d^n)",
        unit=Unit.CURRENCY,
        sign="never negative",
        gaps="`window_too_short` below 2 observations, `overlapping`",
        source="J.P. Morgan/Reuters, RiskMetrics Technical Document, 4th ed. (1996), ch. 5",
        cost_us=11.0,
    ),
    MeasureDefinition(
        name="age_weighted_value_at_risk",
        summary="Historical value-at-risk, the latest observations weighing most",
        formula="smallest loss at which the weights, added from the worst on, reach alpha,"
        " x sqrt(h); w_k proportional to age_decay^k, k = age in observations",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`window_too_short` below 1 / alpha",
        source="Boudoukh, Richardson, Whitelaw, The Best of Both Worlds, Risk 11 (1998)",
        cost_us=27.0,
        qualifier=Qualifier.CONFIDENCE,
    ),
    MeasureDefinition(
        name="filtered_value_at_risk",
        summary="Historical value-at-risk of P&L scaled to the volatility of now",
        formula="value_at_risk of the portfolio's P&L_t x s_(n+1) / s_t,"
        " s_(t+1)^2 = d s_t^2 + (1 - d) P&L_t^2, s_1^2 = mean of P&L^2",
        unit=Unit.CURRENCY,
        sign="loss positive",
        gaps="`window_too_short` below 1 / alpha, without what has s_t = 0; `overlapping`",
        source="Hull, White, Incorporating Volatility Updating into the Historical"
        " Simulation Method for VaR, Journal of Risk 1 (1998)",
        cost_us=18.0,
        qualifier=Qualifier.CONFIDENCE,
    ),
)
