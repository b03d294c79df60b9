"""Limits and limit sets: validation, scope and versions."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.errors import InvalidLimitError, UnknownMeasureError
from risk_tasks.model.limits import Comparison, Limit, LimitSet, limit_document
from risk_tasks.model.registry import MEASURES
from tests.unit.model.strategies import limit_sets, limits

NAN, INF = float("nan"), float("inf")

BAD_LIMITS = {
    "unknown measure": ({"measure": "value_at_rsk"}, "measure", "Nearest: value_at_risk"),
    "measure a number": ({"measure": 5}, "measure", "not a measure name"),
    "unqualified scenario": ({"measure": "stress_loss"}, "measure", "stress_loss:NAME"),
    "confidence beyond 1": ({"measure": "value_at_risk@95"}, "measure", "Invalid confidence '95'"),
    "neither threshold": ({"hard": None}, "hard", "expected warn, hard, or both"),
    "measure of a lone surrogate": ({"measure": "stress_loss:\ud800"}, "measure", "NAME"),
    "id of a lone surrogate": ({"id": "\ud800"}, "id", "UTF-8"),
    "tag of a lone surrogate": ({"applies_to": {"desk": "\ud800"}, "id": "l"}, "id", "UTF-8"),
    "hard nan": ({"hard": NAN}, "hard", "nan"),
    "hard infinite": ({"hard": INF}, "hard", "inf"),
    "hard a text": ({"hard": "100"}, "hard", "'100'"),
    "warn a truth": ({"warn": True}, "warn", "True"),
    "warn infinite": ({"warn": -INF}, "warn", "-inf"),
    "hard too large": ({"hard": 10**400}, "hard", "not a finite number"),
    "warn beyond hard": (
        {"warn": 2, "hard": 1},
        "warn",
        "warn 2 is beyond hard 1, so it never warns. Give a warn of at most 1.",
    ),
    "warn beyond hard, by magnitude": (
        {"warn": 2, "hard": 1, "comparison": "absolute"},
        "warn",
        "warn 2 is beyond hard 1",
    ),
    "warn below a floor": (
        {"warn": 1, "hard": 2, "comparison": "below"},
        "warn",
        "Give a warn of at least 2.",
    ),
    "unknown short_window": (
        {"short_window": "skip"},
        "short_window",
        "Unknown short_window 'skip': expected warn, reject, use.",
    ),
    "unknown comparison": (
        {"comparison": "over"},
        "comparison",
        "Unknown comparison 'over': expected above, below, absolute.",
    ),
    "unknown missing_data": (
        {"missing_data": "ignore"},
        "missing_data",
        "Unknown missing_data 'ignore': expected reject, warn, skip.",
    ),
    "missing_data None": ({"missing_data": None}, "missing_data", "Unknown missing_data None"),
    "scope no mapping": ({"applies_to": [("desk", "fx")]}, "applies_to", "is not a mapping"),
    "scope of None": ({"applies_to": {"desk": None}}, "applies_to['desk']", "a list of texts"),
    "scope of a number": ({"applies_to": {"desk": 5}}, "applies_to['desk']", "a list of texts"),
    "scope of nothing": ({"applies_to": {"desk": []}}, "applies_to['desk']", "one value or more"),
    "scope of numbers": ({"applies_to": {"desk": ["a", 5]}}, "applies_to['desk']", "of texts"),
    "tag no text": ({"applies_to": {5: "fx"}}, "applies_to[5]", "5 is not a tag"),
    "id no text": ({"id": 5}, "id", "5 is not an id"),
}


@pytest.mark.parametrize(("change", "field", "message"), BAD_LIMITS.values(), ids=BAD_LIMITS.keys())
def test_an_invalid_limit_is_refused_by_its_field(change, field, message):
    """The error has the field, the found value and the remedy."""
    given = {"measure": "value_at_risk", "hard": 100.0, **change}

    with pytest.raises(InvalidLimitError) as caught:
        Limit(given.pop("measure"), **given)

    assert caught.value.field == field
    assert message in str(caught.value)
    assert caught.value.remedy != InvalidLimitError().remedy


def test_the_traceback_of_an_invalid_limit_has_no_internal_lookup():
    """An invalid measure has its error as the cause; a failed lookup of a choice is left out."""
    with pytest.raises(InvalidLimitError) as measure:
        Limit("value_at_rsk", hard=1)
    with pytest.raises(InvalidLimitError) as choice:
        Limit("volatility", hard=1, comparison="over")

    assert isinstance(measure.value.__cause__, UnknownMeasureError)
    assert choice.value.__cause__ is None
    assert choice.value.__suppress_context__


@pytest.mark.parametrize(
    "good",
    [
        {"warn": 1},
        {"hard": 0},
        {"warn": 1, "hard": 1},
        {"warn": 1, "hard": 1, "comparison": "below"},
        {"warn": 2, "hard": 1, "comparison": "below"},
        {"warn": -2, "hard": -1},
        {"warn": Decimal("0.5"), "hard": 1},
    ],
    ids=repr,
)
def test_equal_single_and_negative_thresholds_are_accepted(good):
    """One of the two is enough, both may be equal, and a threshold may be 0 or below it."""
    limit = Limit("net_exposure", **good)

    for place in ("warn", "hard"):
        number = getattr(limit, place)
        assert number == (float(good[place]) if place in good else None)
        assert type(number) in {float, type(None)}


CANNOT_FIRE = [
    ("concentration", {"hard": 10}),
    ("concentration", {"hard": 1}),
    ("concentration", {"warn": 1}),
    ("concentration", {"warn": 0.3, "hard": 30}),
    ("concentration", {"hard": 1, "comparison": "absolute"}),
    ("concentration", {"hard": 0, "comparison": "below"}),
    ("herfindahl", {"hard": 1.0}),
    ("stress_coverage:crash", {"hard": 90}),
    ("stress_coverage:crash", {"hard": 0, "comparison": "below"}),
    ("gross_exposure", {"hard": 0, "comparison": "below"}),
    ("gross_leverage", {"hard": -1, "comparison": "below"}),
    ("volatility", {"warn": -5, "comparison": "below"}),
    ("long_exposure", {"warn": 5, "hard": 0, "comparison": "below"}),
]


@pytest.mark.parametrize(("measure", "thresholds"), CANNOT_FIRE)
def test_a_threshold_that_no_value_can_pass_is_refused(measure, thresholds):
    """By its field, with the bound of the measure and a remedy."""
    with pytest.raises(InvalidLimitError, match="can never be passed") as caught:
        Limit(measure, **thresholds)

    assert caught.value.field in thresholds
    assert "Give a threshold" in caught.value.remedy


@given(
    st.sampled_from(sorted(MEASURES)),
    st.sampled_from(list(Comparison)),
    st.floats(-3, 3) | st.sampled_from([-1e300, 1e300, 0.0, 1.0, -1.0]),
)
def test_a_threshold_is_refused_only_if_no_value_of_the_range_passes_it(name, comparison, hard):
    """Compared with values at, near and far beyond each bound of the measure."""
    of = MEASURES[name].range
    item = {"scenario": ":crash", "instrument": ":AAPL"}.get(MEASURES[name].qualifier.value, "")
    lowest = -1e308 if of.lowest is None else of.lowest
    highest = 1e308 if of.highest is None else of.highest
    can_fire = {
        "above": highest > hard,
        "below": lowest < hard,
        "absolute": max(abs(lowest), abs(highest)) > hard,
    }[comparison]

    try:
        Limit(name + item, hard=hard, comparison=comparison)
    except InvalidLimitError:
        assert not can_fire
    else:
        assert can_fire


WARNINGS = [
    ("gross_exposure", {"hard": 0}, ["always_fires"]),
    ("gross_exposure", {"hard": 1}, []),
    ("gross_exposure", {"warn": 0, "hard": 9}, ["always_fires"]),
    ("long_exposure", {"hard": 0}, []),
    ("long_exposure", {"hard": -1}, ["always_fires"]),
    ("value_at_risk", {"hard": -50_000}, ["always_fires"]),
    ("value_at_risk@0.95", {"warn": -2, "hard": -1}, ["always_fires", "always_fires"]),
    ("expected_shortfall", {"hard": 0}, ["always_fires"]),
    ("value_at_risk", {"hard": 100}, []),
    ("value_at_risk", {"hard": -5, "comparison": "below"}, []),
    ("net_exposure", {"hard": 0}, []),
    ("net_exposure", {"hard": -1, "comparison": "absolute"}, ["always_fires"]),
    ("net_exposure", {"hard": 0, "comparison": "absolute"}, []),
    ("stress_loss:crash", {"hard": -1}, []),
    ("concentration", {"hard": 2, "comparison": "below"}, ["always_fires"]),
    ("concentration", {"hard": 0.9}, []),
    ("gross_leverage", {"hard": 150}, ["hardly_fires"]),
    ("gross_leverage", {"hard": 1.5}, []),
    ("gross_leverage", {"hard": 150, "comparison": "below"}, []),
    ("beta:SPY", {"hard": 120}, ["hardly_fires"]),
]


@pytest.mark.parametrize(("measure", "thresholds", "kinds"), WARNINGS)
def test_a_threshold_that_every_or_no_ordinary_book_passes_is_warned_of(measure, thresholds, kinds):
    """It is never refused: a limit of 0 is a kill switch."""
    limit_set = LimitSet("s", [Limit(measure, **thresholds, id="x")])

    assert [one.kind for one in limit_set.warnings] == kinds
    for one in limit_set.warnings:
        assert one.limit == "x"
        assert one.field in thresholds
        assert one.message.startswith(f"{one.field} ")


def test_a_percentage_for_a_ratio_is_named():
    (warning,) = LimitSet("s", [Limit("gross_leverage", hard=150)]).warnings

    assert warning.message == "hard 150 means 15,000 %; for 150 % write 1.5."


@pytest.mark.parametrize(
    ("scope", "field"),
    [
        ({"sector": "technology"}, "sector"),
        ({"Sector": "technology"}, "Sector"),
        ({"instrument": "AAPL"}, "instrument"),
        ({"instrument": "aapl"}, "instrument"),
        ({"desk": ["fx", "AAPL"]}, "desk"),
        ({"portfolio_id": "a", "sector": "energy"}, "sector"),
    ],
)
def test_a_scope_of_instruments_is_refused_in_a_market(scope, field):
    """A tag that its instruments carry, or the id of one; unless portfolios carry this tag."""
    limits = LimitSet("s", [VOLATILITY, Limit("gross_exposure", hard=100, applies_to=scope)])

    with pytest.raises(InvalidLimitError, match="applies to no portfolio") as caught:
        limits.require_scopes_of_portfolios({"AAPL", "XOM"}, {"sector"}, ())

    assert caught.value.field == f"limits[1].applies_to[{field!r}]"
    assert f"--tag {field}" in caught.value.remedy
    limits.require_scopes_of_portfolios({"AAPL", "XOM"}, {"sector"}, {field})


def test_a_portfolio_may_have_the_name_of_an_instrument():
    limits = LimitSet("s", [Limit("volatility", hard=1, applies_to={"portfolio_id": "AAPL"})])

    limits.require_scopes_of_portfolios({"AAPL"}, {"portfolio_id"}, ())


def test_a_limit_is_stored_in_its_canonical_form():
    """The measure's confidence is decimal text, one value is a tuple of one."""
    limit = Limit("value_at_risk@0.950", hard=1, applies_to={"desk": "fx", "book": ["a", "b"]})

    assert limit.measure == "value_at_risk@0.95"
    assert limit.applies_to == {"desk": ("fx",), "book": ("a", "b")}
    assert (limit.missing_data, limit.comparison) == ("reject", "above")


@pytest.mark.parametrize(
    ("scope", "called"),
    [
        ({}, "volatility"),
        ({"desk": "fx"}, "volatility[desk=fx]"),
        (
            {"desk": ["fx", "rates"], "portfolio_id": "p"},
            "volatility[desk=fx|rates,portfolio_id=p]",
        ),
    ],
)
def test_the_default_id_of_a_limit_has_its_measure_and_scope(scope, called):
    assert Limit("volatility", hard=1, applies_to=scope).id == called
    assert Limit("volatility", hard=1, applies_to=scope, id="vol").id == "vol"


def test_the_order_of_tags_does_not_matter():
    """Limits with equal scopes have one id and one version."""
    one = Limit("volatility", hard=1, applies_to={"desk": "fx", "book": "a"})
    two = Limit("volatility", hard=1, applies_to={"book": "a", "desk": "fx"})

    assert one == two
    assert LimitSet("s", [one]).version == LimitSet("s", [two]).version


SCOPES = [
    ({}, "p", {}, True),
    ({"desk": "fx"}, "p", {"desk": "fx"}, True),
    ({"desk": "fx"}, "p", {"desk": "rates"}, False),
    ({"desk": "fx"}, "p", {}, False),
    ({"desk": "fx"}, "p", {"desk": "f"}, False),
    ({"desk": ["fx", "rates"]}, "p", {"desk": "rates"}, True),
    ({"desk": ["fx", "rates"]}, "p", {"desk": "credit"}, False),
    ({"desk": "fx", "book": "a"}, "p", {"desk": "fx", "book": "a"}, True),
    ({"desk": "fx", "book": "a"}, "p", {"desk": "fx", "book": "b"}, False),
    ({"desk": "fx", "book": "a"}, "p", {"book": "a"}, False),
    ({"portfolio_id": "p"}, "p", {}, True),
    ({"portfolio_id": "p"}, "q", {}, False),
    ({"portfolio_id": ["o", "q"]}, "q", {}, True),
    ({"portfolio_id": "p"}, "q", {"portfolio_id": "p"}, False),
    ({"portfolio_id": "q", "desk": "fx"}, "q", {"desk": "rates"}, False),
    ({"desk": "p"}, "p", {}, False),
]


@pytest.mark.parametrize(("scope", "portfolio_id", "tags", "expected"), SCOPES)
def test_a_limit_applies_if_each_tag_has_one_of_its_values(scope, portfolio_id, tags, expected):
    """A missing tag has no value; the id of the portfolio is not a tag that a caller can set."""
    limit = Limit("volatility", hard=1, applies_to=scope)

    assert limit.applies(portfolio_id, tags) is expected


def test_later_changes_of_the_arguments_do_not_change_a_limit():
    """Scope, values and the list of limits are copied."""
    values = ["fx"]
    scope = {"desk": values}
    limit = Limit("volatility", hard=1, applies_to=scope)
    rows = [limit]
    limit_set = LimitSet("s", rows)

    values.append("rates")
    scope["book"] = "a"
    rows.append(limit)

    assert limit == Limit("volatility", hard=1, applies_to={"desk": "fx"})
    assert limit_set.limits == (limit,)


def test_limits_cannot_be_changed():
    """Neither a limit, nor its scope, nor a set."""
    limit = Limit("volatility", hard=1, applies_to={"desk": "fx"})

    with pytest.raises(FrozenInstanceError):
        limit.hard = 2.0
    with pytest.raises(TypeError):
        limit.applies_to["desk"] = ("rates",)
    with pytest.raises(FrozenInstanceError):
        LimitSet("s", [limit]).limits = ()
    with pytest.raises(TypeError):
        Limit("volatility", 1.0)


VOLATILITY = Limit("volatility", hard=1)
BAD_SETS = {
    "id empty": (("", [VOLATILITY]), "id", "'' is not a name: expected non-empty text"),
    "id None": ((None, [VOLATILITY]), "id", "None is not a name"),
    "id a number": ((5, [VOLATILITY]), "id", "5 is not a name"),
    "id of a lone surrogate": (("\ud800", [VOLATILITY]), "id", "text in UTF-8"),
    "a measure for a limit": (
        ("s", [VOLATILITY, "volatility"]),
        "limits[1]",
        "'volatility' is not a Limit.",
    ),
    "same limit twice": (
        ("s", [VOLATILITY, VOLATILITY]),
        "limits[1].id",
        "Two limits have the id 'volatility'. Give each limit a different id.",
    ),
    "same id twice": (
        ("s", [Limit("volatility", hard=1, id="a"), Limit("net_exposure", hard=1, id="a")]),
        "limits[1].id",
        "Two limits have the id 'a'.",
    ),
    "floor and ceiling of one measure": (
        ("s", [VOLATILITY, Limit("volatility", hard=0.5, comparison="below")]),
        "limits[1].id",
        "Two limits have the id 'volatility'.",
    ),
    "no limits": (("s", None), "limits", "None is not a list of limits."),
}


@pytest.mark.parametrize(("args", "field", "message"), BAD_SETS.values(), ids=BAD_SETS.keys())
def test_an_invalid_limit_set_is_refused_by_its_field(args, field, message):
    """Each limit has its own id, because breaches name limits by it."""
    with pytest.raises(InvalidLimitError) as caught:
        LimitSet(*args)

    assert caught.value.field == field
    assert message in str(caught.value)


def test_a_set_may_be_empty_or_limit_one_measure_in_several_scopes():
    """A different scope or a given id makes a different id."""
    scoped = Limit("volatility", hard=1, applies_to={"desk": "fx"})
    named = Limit("volatility", hard=1, id="other")

    assert LimitSet("s", []).limits == ()
    assert LimitSet("s", (VOLATILITY, scoped, named)).limits == (VOLATILITY, scoped, named)


@given(limit_sets())
def test_equal_limits_have_an_equal_version(limit_set):
    """For a second set from the same documents, and with the tags in another order."""
    rows = [limit_document(limit) for limit in limit_set.limits]
    turned = [{**row, "applies_to": dict(reversed(row["applies_to"].items()))} for row in rows]

    for documents in (rows, turned):
        again = LimitSet(
            limit_set.id,
            [Limit(row.pop("measure"), **row) for row in documents],
            unmatched=limit_set.unmatched,
        )

        assert again == limit_set
        assert again.version == limit_set.version


CHANGES = {
    "id": st.just({"id": "another id"}),
    "measure": st.just({"measure": "stress_loss:another one"}),
    "thresholds": st.just({"warn": 1.25, "hard": 1.25}),
    "warn": st.just({"warn": None, "hard": 2.5}),
    "hard": st.just({"warn": 2.5, "hard": None}),
    "applies_to": st.just({"applies_to": {"another tag": "a"}}),
    "missing_data": st.sampled_from(["reject", "warn", "skip"]).map(lambda x: {"missing_data": x}),
    "comparison": st.just({"warn": 2.0, "hard": None, "comparison": "below"}),
    "short_window": st.sampled_from(["reject", "warn", "use"]).map(lambda x: {"short_window": x}),
}


@given(limits(called="x"), st.sampled_from(sorted(CHANGES)).flatmap(CHANGES.get))
def test_any_changed_limit_changes_the_version(limit, change):
    """Every field that affects a decision is in the version."""
    before = LimitSet("s", [limit])
    fields = {**limit_document(limit), **change}
    after = LimitSet("s", [Limit(fields.pop("measure"), **fields)])

    assert (after.version == before.version) is (after == before)


def test_name_order_and_number_of_limits_are_in_the_version():
    one, two = VOLATILITY, Limit("herfindahl", hard=0.5)
    versions = {
        LimitSet(name, rows).version
        for name, rows in (("s", [one, two]), ("t", [one, two]), ("s", [two, one]), ("s", [one]))
    }

    assert len(versions) == 4


def test_a_version_is_the_same_in_every_release():
    """Published sets are found by it, and reports name it."""
    scope = {"portfolio_id": "core", "desk": ["rates", "fx"]}
    limit = Limit("value_at_risk@0.95", warn=100, hard=200.5, applies_to=scope)
    floor = Limit("net_exposure", hard=0, comparison="below", missing_data="skip", id="floor")

    assert LimitSet("standard", []).version == (
        "721083a7b3f14d1848d44726880cd207fb60d0c5b71234c5d29b34401d92e6f5"
    )
    assert LimitSet("standard", [limit, floor]).version == (
        "2ca2eae8b4843a70dfb3a7301f4e87d1e1ba77e53835bb2ebaade06a510f4a23"
    )


def test_the_decision_without_a_limit_is_in_the_version():
    """Only if it is not the default, so that older sets keep their versions."""
    sets = [
        LimitSet("standard", []),
        LimitSet("standard", [], unmatched="none"),
        LimitSet("standard", [], unmatched="reject"),
    ]

    assert sets[0].version == sets[1].version != sets[2].version
    assert [one.unmatched for one in sets] == ["none", "none", "reject"]


@pytest.mark.parametrize("value", ["accept", "NONE", "", None, True])
def test_another_decision_without_a_limit_is_refused(value):
    with pytest.raises(InvalidLimitError) as caught:
        LimitSet("standard", [], unmatched=value)

    assert caught.value.field == "unmatched"


@given(limits())
def test_the_document_of_a_limit_has_all_its_fields(limit):
    """As plain values, from which an equal limit is made."""
    document = limit_document(limit)

    assert set(document) == {field.name for field in fields(Limit)}
    assert {type(value) for value in document.values()} <= {str, float, dict, type(None)}
    assert {type(value) for value in document["applies_to"].values()} <= {list}
    assert Limit(document.pop("measure"), **document) == limit


def test_equal_limits_have_equal_versions():
    """0.0 and -0.0 are equal."""
    sets = [LimitSet("s", [Limit("volatility", hard=zero)]) for zero in (0.0, -0.0)]

    assert sets[0] == sets[1]
    assert sets[0].version == sets[1].version
