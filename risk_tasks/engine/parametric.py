"""Measures of the moments of past P&L: the shape of the tail is supposed, not observed."""

from __future__ import annotations

from functools import lru_cache
from math import exp, log1p, sqrt

from scipy import special

from risk_tasks.engine.computation import Computation, FloatArray, Functions
from risk_tasks.engine.history import deviation_parts
from risk_tasks.engine.windows import column_of, confidence_of
from risk_tasks.model.column import MeasureColumn
from risk_tasks.model.confidence import tail_probability
from risk_tasks.model.measures import MeasureName


def student_value_at_risk(run: Computation, name: MeasureName) -> MeasureColumn:
    return column_of(run, _student(run, name)[0] * run.deviation * run.horizon_scale, 2)


def student_value_at_risk_parts(run: Computation, name: MeasureName) -> FloatArray:
    return _student(run, name)[0] * deviation_parts(run, name)


def student_expected_shortfall(run: Computation, name: MeasureName) -> MeasureColumn:
    return column_of(run, _student(run, name)[1] * run.deviation * run.horizon_scale, 2)


def student_expected_shortfall_parts(run: Computation, name: MeasureName) -> FloatArray:
    return _student(run, name)[1] * deviation_parts(run, name)


def _student(run: Computation, name: MeasureName) -> tuple[float, float]:
    freedom = run.settings.degrees_of_freedom
    return _student_factors(freedom, confidence_of(name, run.settings))


@lru_cache(maxsize=1024)
def _student_factors(freedom: float, confidence: str) -> tuple[float, float]:
    """Return VaR and ES of the t distribution with mean 0 and standard deviation 1.

    Loss positive. The density is written with the beta function, which is accurate for any number
    of degrees of freedom, where a quotient of gamma functions is not.
    """
    alpha = float(tail_probability(confidence))
    t = float(special.stdtrit(freedom, alpha))
    kernel = exp(-(freedom + 1) / 2 * log1p(t * t / freedom))
    density = kernel / (sqrt(freedom) * float(special.beta(0.5, freedom / 2)))
    scale = sqrt((freedom - 2) / freedom)
    shortfall = density / alpha * ((freedom + t * t) / (freedom - 1))
    return 0.0 - scale * t, scale * shortfall


FUNCTIONS = {
    "student_value_at_risk": Functions(student_value_at_risk, student_value_at_risk_parts),
    "student_expected_shortfall": Functions(
        student_expected_shortfall, student_expected_shortfall_parts
    ),
}
