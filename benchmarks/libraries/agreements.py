"""The libraries' functions that return our numbers, and under which convention.

The certification tests each row of this table, the benchmark times the rows that are equal, and
docs/reference/measures.md shows all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

#: both sum in float64, in different orders
EXACT = 1e-9
#: theirs are finite differences, ours derivatives; relative to the largest part
DIFFERENCES = 1e-7


class Where(StrEnum):
    """The n and alpha for which a library has our number."""

    ALWAYS = "always"
    WHOLE = "n alpha whole"
    BROKEN = "n alpha not whole"
    NEVER = "never"

    def holds(self, n: int, alpha: Fraction) -> bool:
        if self in {Where.ALWAYS, Where.NEVER}:
            return self is Where.ALWAYS
        return ((n * alpha).denominator == 1) is (self is Where.WHOLE)


@dataclass(frozen=True)
class Agreement:
    """One function of a library compared with one of our measures.

    `library` is the name of its package and `function` the called function, both as in
    `calls.CALLS`. `how` is what makes the two equal, or why they differ. `var_convention` is ours
    if it is not the standard one.
    """

    measure: str
    library: str
    function: str
    how: str
    where: Where = Where.ALWAYS
    var_convention: str | None = None
    relative: float = EXACT

    @property
    def call(self) -> str:
        return f"{self.library} {self.function}"

    @property
    def settings(self) -> dict[str, str]:
        return {} if self.var_convention is None else {"var_convention": self.var_convention}

    @property
    def ours(self) -> str:
        """Our measure, with its settings that are not standard."""
        return ", ".join([self.measure, *self.settings.values()])

    @property
    def of_positions(self) -> bool:
        """Whether there is a number for each position."""
        return self.measure.startswith("component_")


_SK, _RF, _EM, _LEARN = "skfolio", "riskfolio-lib", "empyrical-reloaded", "scikit-learn"

AGREEMENTS: tuple[Agreement, ...] = (
    Agreement("herfindahl", _SK, "measures.effective_number_assets", "1 over it, shares of gross"),
    Agreement("herfindahl", _RF, "NEA", "1 over it, shares of gross"),
    Agreement("volatility", _SK, "measures.standard_deviation", "by default"),
    Agreement("volatility", _RF, "Sharpe_Risk, MV", "with `np.cov` of what is held"),
    Agreement("volatility", _EM, "annual_volatility", "`annualization=1`"),
    Agreement("volatility", _LEARN, "EmpiricalCovariance", "sqrt(w' Cov w n / (n - 1)): it has n"),
    Agreement("shrunk_volatility", _LEARN, "LedoitWolf", "sqrt(w' Cov w), of what is held"),
    Agreement("value_at_risk", _RF, "VaR_Hist", "`conservative`"),
    Agreement(
        "value_at_risk",
        _SK,
        "measures.value_at_risk",
        "`loss_quantile`",
        var_convention="loss_quantile",
    ),
    Agreement(
        "value_at_risk",
        _SK,
        "measures.value_at_risk",
        "`conservative`; elsewhere it takes the next smaller loss",
        where=Where.BROKEN,
    ),
    Agreement(
        "value_at_risk",
        _EM,
        "value_at_risk",
        "`linear`, minus it: its losses are negative",
        var_convention="linear",
    ),
    Agreement("expected_shortfall", _SK, "measures.cvar", "by default"),
    Agreement("expected_shortfall", _RF, "CVaR_Hist", "by default"),
    Agreement(
        "expected_shortfall",
        _EM,
        "conditional_value_at_risk",
        "minus it; elsewhere it differs: the mean of the floor((n - 1) alpha) + 1 worst",
        where=Where.WHOLE,
    ),
    Agreement("semi_deviation", _SK, "measures.semi_deviation", "by default"),
    Agreement("semi_deviation", _RF, "SemiDeviation", "by default"),
    Agreement(
        "semi_deviation",
        _EM,
        "downside_risk",
        "`required_return` the mean, `annualization=1`, x sqrt(n / (n - 1))",
    ),
    Agreement(
        "cornish_fisher_value_at_risk",
        _SK,
        "measures.skew, kurtosis",
        "its moments, less 3 of the kurtosis, in our formula, where that is not `degraded`",
    ),
    Agreement(
        "ewma_volatility",
        _SK,
        "moments.EWCovariance",
        "of the book's returns; `half_life` log(0.5) / log(d), `min_observations=1`",
    ),
    Agreement(
        "ewma_volatility",
        _RF,
        "covar_matrix, ewma1",
        "differs: takes the weighted mean out and corrects for that, as pandas does",
        where=Where.NEVER,
    ),
    Agreement(
        "age_weighted_value_at_risk",
        _SK,
        "measures.value_at_risk, sample_weight",
        "weights d^k",
    ),
    Agreement(
        "component_value_at_risk",
        _SK,
        "Portfolio.contribution, STANDARD_DEVIATION",
        "x z(c)",
        relative=DIFFERENCES,
    ),
    Agreement(
        "component_value_at_risk",
        _RF,
        "Risk_Contribution, MV",
        "x z(c)",
        relative=DIFFERENCES,
    ),
    Agreement(
        "component_expected_shortfall",
        _SK,
        "Portfolio.contribution, CVAR",
        "by default",
        relative=DIFFERENCES,
    ),
    Agreement(
        "component_expected_shortfall",
        _RF,
        "Risk_Contribution, CVaR",
        "by default",
        relative=DIFFERENCES,
    ),
    Agreement("beta", _EM, "beta_aligned", "of returns over net asset value"),
)
