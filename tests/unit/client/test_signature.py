"""One check as a Celery signature."""

from __future__ import annotations

import json

import pytest

from risk_tasks import signature
from risk_tasks.errors import InvalidSettingsError, UnknownMeasureError
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.model.portfolio import Portfolio

PORTFOLIO = Portfolio("p", {"AAPL": 1.0}, cash=5.0, tags={"desk": "fx"})
DOCUMENT = {
    "id": "p",
    "positions": {"AAPL": 1.0},
    "cash": 5.0,
    "nav": None,
    "tags": {"desk": "fx"},
}


def test_a_signature_has_the_task_and_the_given_arguments_only():
    """For the queue of the normal lane."""
    made = signature(PORTFOLIO)

    assert made.task == "risk.check"
    assert made.kwargs == {"portfolio": DOCUMENT}
    assert made.args == ()
    assert made.options["queue"] == "risk.normal"


def test_models_are_carried_as_documents_and_documents_as_they_are():
    """All arguments are JSON."""
    limits = LimitSet("s", [Limit("volatility", hard=1.0)])
    made = signature(
        PORTFOLIO,
        limits=limits,
        measures=iter(["volatility"]),
        settings=MeasureSettings("0.95"),
        market="spot",
        priority="critical",
    )
    plain = signature(
        DOCUMENT,
        limits=made.kwargs["limits"],
        measures=["volatility"],
        settings=made.kwargs["settings"],
        market="spot",
        priority="critical",
    )

    assert json.loads(json.dumps(made.kwargs)) == made.kwargs == plain.kwargs
    assert made.kwargs["limits"]["id"] == "s"
    assert made.kwargs["settings"]["confidence"] == "0.95"
    assert made.kwargs["measures"] == ["volatility"]
    assert made.options["queue"] == "risk.critical"


def test_a_named_limit_set_is_carried_by_its_name():
    """The worker looks it up."""
    assert signature(PORTFOLIO, limits="strict").kwargs["limits"] == "strict"


def test_an_unknown_lane_is_refused():
    with pytest.raises(InvalidSettingsError, match="urgent"):
        signature(PORTFOLIO, priority="urgent")


@pytest.mark.parametrize("measures", ["value_at_risk", 5, ["luck"]])
def test_invalid_measures_are_refused_before_anything_is_sent(measures):
    """A text is not read as a list of its letters."""
    with pytest.raises(UnknownMeasureError):
        signature(PORTFOLIO, measures=measures)


def test_explain_is_sent_only_if_it_is_true():
    """An older worker refuses arguments that it does not know."""
    assert signature(PORTFOLIO, explain=True).kwargs["explain"] is True
    assert "explain" not in signature(PORTFOLIO, explain=False).kwargs
    with pytest.raises(InvalidSettingsError, match="true or false"):
        signature(PORTFOLIO, explain="yes")
