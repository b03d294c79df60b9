"""The registry of measures, their names in requests, and their settings."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.errors import InvalidSettingsError, UnknownMeasureError
from risk_tasks.model.measures import (
    Distribution,
    HorizonRule,
    MeasureName,
    MeasureSettings,
    Precision,
    VarConvention,
    parse_measures,
)
from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES, Qualifier, Unit
from tests.unit.model.strategies import measure_names, names

STANDARD = [
    *("market_value", "gross_exposure", "net_exposure", "long_exposure", "short_exposure"),
    *("gross_leverage", "concentration", "herfindahl", "volatility"),
    *("value_at_risk", "expected_shortfall", "parametric_value_at_risk"),
]


def test_the_standard_set_does_not_change():
    """A check without `measures` gets these, in this order."""
    assert list(STANDARD_MEASURES) == STANDARD
    assert [str(name) for name in parse_measures(None)] == STANDARD


def test_units_and_qualifiers_are_those_of_the_design():
    """Exposures and risks are amounts, leverage is a ratio, concentration a share of gross."""
    others = {
        "gross_leverage": Unit.RATIO,
        "beta": Unit.RATIO,
        "concentration": Unit.FRACTION,
        "herfindahl": Unit.FRACTION,
        "marginal_value_at_risk": Unit.FRACTION,
        "covariance_repair": Unit.FRACTION,
        "stress_coverage": Unit.FRACTION,
    }
    qualifiers = {
        "value_at_risk": Qualifier.CONFIDENCE,
        "value_at_risk_lower": Qualifier.CONFIDENCE,
        "value_at_risk_upper": Qualifier.CONFIDENCE,
        "expected_shortfall": Qualifier.CONFIDENCE,
        "parametric_value_at_risk": Qualifier.CONFIDENCE,
        "student_value_at_risk": Qualifier.CONFIDENCE,
        "student_expected_shortfall": Qualifier.CONFIDENCE,
        "age_weighted_value_at_risk": Qualifier.CONFIDENCE,
        "cornish_fisher_value_at_risk": Qualifier.CONFIDENCE,
        "filtered_value_at_risk": Qualifier.CONFIDENCE,
        "monte_carlo_value_at_risk": Qualifier.CONFIDENCE,
        "monte_carlo_expected_shortfall": Qualifier.CONFIDENCE,
        "beta": Qualifier.INSTRUMENT,
        "marginal_value_at_risk": Qualifier.INSTRUMENT,
        "component_value_at_risk": Qualifier.INSTRUMENT,
        "incremental_value_at_risk": Qualifier.INSTRUMENT,
        "component_expected_shortfall": Qualifier.INSTRUMENT,
        "stress_loss": Qualifier.SCENARIO,
        "stress_coverage": Qualifier.SCENARIO,
    }

    for name, definition in MEASURES.items():
        assert definition.unit is others.get(name, Unit.CURRENCY)
        assert definition.qualifier is qualifiers.get(name, Qualifier.NONE)


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_has_a_complete_description(name):
    """Its key is its name; it has summary, formula, sign, source and cost."""
    definition = MEASURES[name]

    assert definition.name == name
    assert all((definition.summary, definition.formula, definition.sign, definition.source))
    assert definition.cost_us > 0


def test_the_registry_cannot_be_changed():
    """A measure is added in the code, not at run time."""
    with pytest.raises(TypeError):
        MEASURES["luck"] = MEASURES["volatility"]


GOOD_NAMES = [
    ("volatility", MeasureName("volatility")),
    ("value_at_risk", MeasureName("value_at_risk")),
    ("value_at_risk@0.95", MeasureName("value_at_risk", confidence="0.95")),
    ("expected_shortfall@.9750", MeasureName("expected_shortfall", confidence="0.975")),
    ("stress_loss:crash-2020", MeasureName("stress_loss", item="crash-2020")),
    ("stress_loss:a:b", MeasureName("stress_loss", item="a:b")),
    ("stress_loss:me@home", MeasureName("stress_loss", item="me@home")),
    ("stress_loss: 1 ", MeasureName("stress_loss", item=" 1 ")),
]


@pytest.mark.parametrize(("text", "expected"), GOOD_NAMES)
def test_a_name_has_a_measure_and_its_qualifiers(text, expected):
    """The first mark separates them; a scenario may have any name."""
    assert MeasureName.parse(text) == expected


BAD_NAMES = [
    ("value_at_rsk", "Nearest: value_at_risk"),
    ("expected_shortfal@0.95", "Nearest: expected_shortfall"),
    ("VOLATILITY", "Unknown measure 'VOLATILITY'"),
    ("", "Unknown measure ''"),
    (" volatility", "Nearest: volatility"),
    ("luck", "Unknown measure 'luck'. `risk-tasks measures`"),
    ("volatility@0.95", "Write it as volatility."),
    ("volatility:crash", "Write it as volatility."),
    ("volatility:", "Write it as volatility."),
    ("value_at_risk:crash", "Write it as value_at_risk or value_at_risk@0.95."),
    ("value_at_risk:0.95", "Write it as value_at_risk or value_at_risk@0.95."),
    ("value_at_risk:a@0.95", "Write it as value_at_risk or value_at_risk@0.95."),
    ("stress_loss", "Write it as stress_loss:NAME"),
    ("stress_loss:", "Write it as stress_loss:NAME"),
    ("stress_loss@0.95", "Write it as stress_loss:NAME"),
    (5, "5 is not a measure name"),
    (None, "None is not a measure name"),
    (b"volatility", "is not a measure name"),
]


@pytest.mark.parametrize(("text", "message"), BAD_NAMES)
def test_an_invalid_name_is_refused_with_its_alternatives(text, message):
    """The error has the field, and the nearest names or the right spelling."""
    with pytest.raises(UnknownMeasureError) as caught:
        MeasureName.parse(text, field="limits[3].measure")

    assert caught.value.field == "limits[3].measure"
    assert caught.value.code == "unknown_measure"
    assert message in str(caught.value)


def test_at_most_three_near_names_are_listed():
    """`risk-tasks measures` lists all."""
    with pytest.raises(UnknownMeasureError) as caught:
        MeasureName.parse("exposure")

    assert caught.value.message.count("_exposure") == 3


@pytest.mark.parametrize("text", ["value_at_risk@", "value_at_risk@99", "value_at_risk@0.95:x"])
def test_an_invalid_confidence_is_refused_by_its_field(text):
    """A level is strictly between 0 and 1."""
    with pytest.raises(InvalidSettingsError) as caught:
        MeasureName.parse(text)

    assert caught.value.field == "measures"


@given(measure_names)
def test_a_name_is_parsed_to_itself(text):
    """With the confidence in canonical form."""
    name = MeasureName.parse(text)

    assert MeasureName.parse(str(name)) == name
    assert name.definition is MEASURES[name.name]
    assert str(name).startswith(name.name)


@given(names)
def test_the_scenario_name_of_a_stress_loss_is_kept_unchanged(scenario):
    """For any name."""
    assert MeasureName.parse(f"stress_loss:{scenario}").item == scenario


def test_repeats_are_dropped_and_the_order_is_kept():
    """Two spellings of one confidence are one measure; one without it is another."""
    given_names = ["volatility", "value_at_risk@0.950", "value_at_risk", "value_at_risk@0.95"]

    assert list(map(str, parse_measures(iter([*given_names, "volatility"])))) == [
        "volatility",
        "value_at_risk@0.95",
        "value_at_risk",
    ]
    assert parse_measures([]) == ()


@pytest.mark.parametrize("given_names", ["volatility", 5, True, 0.95], ids=repr)
def test_measures_must_be_a_list_of_names(given_names):
    """A text is not read as a list of its letters, and a number is refused."""
    with pytest.raises(UnknownMeasureError) as caught:
        parse_measures(given_names)

    assert caught.value.field == "measures"


BAD_SETTINGS = {
    "confidence": ({"confidence": 95}, "confidence"),
    "horizon 0": ({"horizon_days": 0}, "horizon_days"),
    "horizon below 0": ({"horizon_days": -1}, "horizon_days"),
    "horizon too long": ({"horizon_days": 1001}, "horizon_days"),
    "horizon a fraction": ({"horizon_days": 1.0}, "horizon_days"),
    "horizon a text": ({"horizon_days": "1"}, "horizon_days"),
    "horizon a truth": ({"horizon_days": True}, "horizon_days"),
    "horizon None": ({"horizon_days": None}, "horizon_days"),
    "convention": ({"var_convention": "lucky"}, "var_convention"),
    "convention None": ({"var_convention": None}, "var_convention"),
    "convention a list": ({"var_convention": ["linear"]}, "var_convention"),
    "precision": ({"precision": "float16"}, "precision"),
    "horizon rule": ({"horizon_rule": "compounded"}, "horizon_rule"),
    "horizon rule None": ({"horizon_rule": None}, "horizon_rule"),
    "precision None": ({"precision": None}, "precision"),
    "freedom 2": ({"degrees_of_freedom": 2}, "degrees_of_freedom"),
    "freedom a text": ({"degrees_of_freedom": "5"}, "degrees_of_freedom"),
    "freedom a truth": ({"degrees_of_freedom": True}, "degrees_of_freedom"),
    "freedom None": ({"degrees_of_freedom": None}, "degrees_of_freedom"),
    "freedom infinite": ({"degrees_of_freedom": float("inf")}, "degrees_of_freedom"),
    "decay 0": ({"decay": 0}, "decay"),
    "decay 1": ({"decay": 1}, "decay"),
    "decay below 0": ({"decay": -0.5}, "decay"),
    "decay a text": ({"decay": "0.94"}, "decay"),
    "decay None": ({"decay": None}, "decay"),
    "decay NaN": ({"decay": float("nan")}, "decay"),
    "age decay 0": ({"age_decay": 0}, "age_decay"),
    "age decay above 1": ({"age_decay": 1.0000001}, "age_decay"),
    "age decay None": ({"age_decay": None}, "age_decay"),
    "age decay NaN": ({"age_decay": float("nan")}, "age_decay"),
    "paths uneven": ({"n_paths": 1001}, "n_paths"),
    "paths too few": ({"n_paths": 998}, "n_paths"),
    "paths too many": ({"n_paths": 1_000_002}, "n_paths"),
    "paths a fraction": ({"n_paths": 1e4}, "n_paths"),
    "paths a truth": ({"n_paths": True}, "n_paths"),
    "seed below 0": ({"seed": -1}, "seed"),
    "seed too large": ({"seed": 2**63}, "seed"),
    "seed a text": ({"seed": "1"}, "seed"),
    "seed None": ({"seed": None}, "seed"),
    "distribution": ({"distribution": "cauchy"}, "distribution"),
    "distribution None": ({"distribution": None}, "distribution"),
    "freedom NaN": ({"degrees_of_freedom": float("nan")}, "degrees_of_freedom"),
}


@pytest.mark.parametrize(("change", "field"), BAD_SETTINGS.values(), ids=BAD_SETTINGS.keys())
def test_invalid_settings_are_refused_by_their_field(change, field):
    """Each error states the allowed values."""
    with pytest.raises(InvalidSettingsError) as caught:
        MeasureSettings(**change)

    assert caught.value.field == field
    assert caught.value.remedy != InvalidSettingsError().remedy


def test_an_unknown_convention_is_refused_with_the_known_ones():
    """All three are listed."""
    with pytest.raises(InvalidSettingsError, match="conservative, loss_quantile, linear"):
        MeasureSettings(var_convention="A")


def test_settings_have_the_defaults_of_the_design():
    """99 %, one day, conservative, double precision."""
    settings = MeasureSettings()

    assert (settings.confidence, settings.horizon_days) == ("0.99", 1)
    assert settings.var_convention is VarConvention.CONSERVATIVE
    assert settings.precision is Precision.FLOAT64
    assert (settings.degrees_of_freedom, settings.decay) == (5.0, 0.94)
    assert settings.age_decay == 0.98
    assert settings.horizon_rule is HorizonRule.SQRT_TIME
    assert (settings.n_paths, settings.seed) == (10_000, 0)
    assert settings.distribution is Distribution.NORMAL


@pytest.mark.parametrize("confidence", ["0.950", 0.95, Decimal("0.95"), np.float64(0.95)], ids=repr)
def test_settings_are_equal_for_any_spelling_of_their_confidence(confidence):
    """They are compared and hashed in canonical form."""
    settings = MeasureSettings(confidence, 1000, "linear")

    assert settings == MeasureSettings("0.95", 1000, VarConvention.LINEAR)
    assert hash(settings) == hash(MeasureSettings("0.95", 1000, VarConvention.LINEAR))


@pytest.mark.parametrize("number", [5, 5.0, Decimal(5), np.int64(5)], ids=repr)
def test_settings_are_equal_for_any_type_of_their_numbers(number):
    """An integer and an equal float have one hash and one JSON text."""
    settings = MeasureSettings(degrees_of_freedom=number)

    assert type(settings.degrees_of_freedom) is float
    assert settings == MeasureSettings()


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        MeasureSettings().confidence = "0.95"
    with pytest.raises(FrozenInstanceError):
        MeasureName("volatility").confidence = "0.95"


@pytest.mark.parametrize(("rule", "days"), [("sqrt_time", 1), ("overlapping", 10)])
def test_an_outcome_is_of_one_day_or_of_the_horizon(rule, days):
    """The horizon rule decides, which may be given by its text."""
    assert MeasureSettings(horizon_days=10, horizon_rule=rule).outcome_days == days


@given(st.integers(1, 1000))
def test_a_horizon_is_a_number_of_days(days):
    """From one day to a thousand."""
    assert MeasureSettings(horizon_days=days).horizon_days == days
