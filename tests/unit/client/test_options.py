"""The keyword arguments of every check: read once, and refused by name."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from risk_tasks.broker.blocks import IfMissing, StampRequest
from risk_tasks.client.options import CheckOptions, read_options
from risk_tasks.errors import RequestError
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.model.registry import STANDARD_MEASURES
from risk_tasks.queues import Lane
from risk_tasks.wire.request import Detail

LIMITS = LimitSet("s", [Limit("volatility", hard=1.0)])
OPTIONS = ["limits", "measures", "settings", "market", "priority", "timeout_s"]

BAD_ARGUMENTS = {
    "limits a number": ({"limits": 5}, "limits", "invalid_limit"),
    "limits a list": ({"limits": [Limit("volatility", hard=1)]}, "limits", "invalid_limit"),
    "one limit": ({"limits": Limit("volatility", hard=1)}, "limits", "invalid_limit"),
    "limits empty": ({"limits": ""}, "limits", "invalid_limit"),
    "limits of a lone surrogate": ({"limits": "\ud800"}, "limits", "invalid_limit"),
    "market of a lone surrogate": ({"market": "\ud800"}, "market", "invalid_settings"),
    "limits a boolean": ({"limits": False}, "limits", "invalid_limit"),
    "measures a text": ({"measures": "volatility"}, "measures", "unknown_measure"),
    "measures a number": ({"measures": 5}, "measures", "unknown_measure"),
    "measures unknown": ({"measures": ["luck"]}, "measures", "unknown_measure"),
    "measures of None": ({"measures": [None]}, "measures", "unknown_measure"),
    "bad confidence": ({"measures": ["value_at_risk@9"]}, "measures", "invalid_settings"),
    "settings a mapping": ({"settings": {"confidence": 0.95}}, "settings", "invalid_settings"),
    "settings a text": ({"settings": "0.95"}, "settings", "invalid_settings"),
    "market empty": ({"market": ""}, "market", "invalid_settings"),
    "market a number": ({"market": 5}, "market", "invalid_settings"),
    "priority unknown": ({"priority": "urgent"}, "priority", "invalid_settings"),
    "priority a number": ({"priority": 9}, "priority", "invalid_settings"),
    "priority None": ({"priority": None}, "priority", "invalid_settings"),
    "priority a list": ({"priority": []}, "priority", "invalid_settings"),
    "no time": ({"timeout_s": 0}, "timeout_s", "invalid_settings"),
    "time below 0": ({"timeout_s": -1.0}, "timeout_s", "invalid_settings"),
    "time nan": ({"timeout_s": float("nan")}, "timeout_s", "invalid_settings"),
    "time infinite": ({"timeout_s": float("inf")}, "timeout_s", "invalid_settings"),
    "more than a day": ({"timeout_s": 86_400.5}, "timeout_s", "invalid_settings"),
    "time a text": ({"timeout_s": "5"}, "timeout_s", "invalid_settings"),
    "time a boolean": ({"timeout_s": True}, "timeout_s", "invalid_settings"),
}


@pytest.mark.parametrize(
    ("options", "field", "code"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS.keys()
)
def test_a_bad_argument_is_refused_by_its_name(options, field, code):
    """Before anything is sent."""
    with pytest.raises(RequestError) as caught:
        read_options(Detail.REPORTS, 5.0, **options)

    assert (caught.value.field, caught.value.code) == (field, code)
    assert caught.value.remedy


def test_options_have_the_defaults_of_the_design():
    """Standard measures, 99 % for a day, default market and limits, the normal lane."""
    call = read_options(Detail.SUMMARY, 7.5)

    assert [str(name) for name in call.terms.measures] == list(STANDARD_MEASURES)
    assert call.terms.settings == MeasureSettings()
    assert call.terms.limits is None
    assert call.terms.detail is Detail.SUMMARY
    assert call.stamp == StampRequest("default", "default", if_missing=IfMissing.NONE)
    assert (call.lane, call.timeout_s) == (Lane.NORMAL, 7.5)


def test_none_means_the_default():
    """A caller may pass on its own optional arguments."""
    given = read_options(
        Detail.REPORTS,
        5.0,
        limits=None,
        measures=None,
        settings=None,
        market=None,
        timeout_s=None,
    )

    assert given == read_options(Detail.REPORTS, 5.0)


def test_limits_are_inline_or_have_a_name_that_must_be_published():
    """Only the default may be missing, if no name is given."""
    own = read_options(Detail.REPORTS, 5.0, limits=LIMITS)
    named = read_options(Detail.REPORTS, 5.0, limits="strict")

    assert own.terms.limits is LIMITS
    assert own.stamp == StampRequest("default", "", if_missing=IfMissing.NONE)
    assert named.terms.limits is None
    assert named.stamp == StampRequest("default", "strict", if_missing=IfMissing.REFUSE)
    assert read_options(Detail.REPORTS, 5.0, limits="default").stamp.if_missing is IfMissing.REFUSE


def test_an_empty_inline_limit_set_is_used():
    """It does not mean the default."""
    empty = LimitSet("nothing", [])

    call = read_options(Detail.REPORTS, 5.0, limits=empty)

    assert call.terms.limits is empty
    assert call.stamp.limits == ""


@pytest.mark.parametrize("lane", ["critical", "normal", "batch", Lane.CRITICAL])
def test_a_priority_is_a_lane(lane):
    assert read_options(Detail.REPORTS, 5.0, priority=lane).lane is Lane(lane)


@pytest.mark.parametrize("timeout_s", [3, 3.0, np.float64(3)], ids=repr)
def test_a_time_to_wait_is_a_number_of_seconds(timeout_s):
    """It overrides the timeout of the client."""
    call = read_options(Detail.REPORTS, 5.0, timeout_s=timeout_s)

    assert call.timeout_s == 3.0
    assert type(call.timeout_s) is float


def test_the_longest_timeout_is_a_day():
    assert read_options(Detail.REPORTS, 86_400).timeout_s == 86_400.0


def test_measures_settings_and_market_are_read():
    """Repeated measures are dropped; a market is given by name or id."""
    settings = MeasureSettings(Decimal("0.95"), 10, "linear")

    call = read_options(
        Detail.REPORTS,
        5.0,
        measures=iter(["volatility", "value_at_risk@.950", "volatility"]),
        settings=settings,
        market="spot",
    )

    assert [str(name) for name in call.terms.measures] == ["volatility", "value_at_risk@0.95"]
    assert call.terms.settings is settings
    assert call.stamp.market == "spot"


def test_the_options_of_a_check_are_those_of_the_design():
    """`CheckOptions` has the arguments that `read_options` accepts."""
    assert list(CheckOptions.__annotations__) == OPTIONS
    assert not CheckOptions.__total__


ASKED = [
    {},
    {"market": "other"},
    {"market": "other", "limits": "strict"},
    {"limits": LIMITS},
    {"measures": ["volatility"]},
    {"settings": MeasureSettings(horizon_days=5)},
    {"timeout_s": 1, "priority": "batch"},
    {"timeout_s": None, "market": None},
]


@pytest.mark.parametrize("options", ASKED, ids=map(str, range(len(ASKED))))
def test_options_are_read_the_same_the_first_time_and_from_the_cache(options):
    for other in ASKED:
        read_options(Detail.EXPLAINED, 7.0, **other)
    others = [read_options(Detail.REPORTS, 7.0, **one) for one in ASKED if one != options]

    first, again = (read_options(Detail.REPORTS, 7.0, **options) for _ in range(2))

    assert first == again
    assert first.coalescing_key == again.coalescing_key
    assert hash(first.coalescing_key) == hash(again.coalescing_key)
    different = [one for one in others if one.terms != first.terms or one.stamp != first.stamp]
    assert all(one.coalescing_key != first.coalescing_key for one in different)


def test_an_option_is_refused_again_and_also_after_one_that_it_equals():
    """True equals 1, which is a number of seconds."""
    read_options(Detail.REPORTS, 7.0, timeout_s=1)

    for _ in range(2):
        for bad in ({"timeout_s": True}, {"timeout_s": float("nan")}, {"market": 1}):
            with pytest.raises(RequestError):
                read_options(Detail.REPORTS, 7.0, **bad)
    with pytest.raises(RequestError):
        read_options(Detail.REPORTS, -1.0)


@pytest.mark.parametrize("explain", [0, 1, None, "yes"])
def test_explain_is_true_or_false(explain):
    with pytest.raises(RequestError) as caught:
        Detail.of_reports(explain)

    assert caught.value.field == "explain"
