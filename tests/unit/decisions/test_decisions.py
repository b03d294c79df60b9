"""Limits compared with measures: breaches, limits that cannot be evaluated, decisions."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.decisions import evaluate, utilisation
from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.limits import Comparison, Limit, LimitSet, limit_document
from risk_tasks.model.measures import MeasureName
from risk_tasks.model.report import GRAVITY, Decision, Severity
from tests.reference import decisions as naive

NAN = float("nan")
MEASURE = "net_exposure"


def column(*cells):
    """Return a column of numbers and outcomes; None is a missing number."""
    outcomes = [cell if isinstance(cell, Outcome) else Outcome.OK for cell in cells]
    values = [NAN if isinstance(cell, Outcome) else cell for cell in cells]
    return MeasureColumn(np.array(values, dtype=np.float64), np.array(outcomes, dtype=np.int8))


def judge(limits, cell, *, portfolio_id="p", tags=None):
    """Compare limits on one measure with one portfolio; return the evaluation and its decision."""
    limit_set = None if limits is None else LimitSet("s", limits)
    columns = {MeasureName(MEASURE): column(cell)}
    found = evaluate(limit_set, columns, np.array([True]), [portfolio_id], [tags or {}])
    return found, GRAVITY[found.gravity[0]].value


# observed, comparison, warn, hard -> decision, severity of the breach
THRESHOLDS = [
    (99.0, "above", 80, 100, "warn", "warn"),
    (100.0, "above", 80, 100, "warn", "warn"),
    (math.nextafter(100, 101), "above", 80, 100, "reject", "hard"),
    (80.0, "above", 80, 100, "accept", None),
    (-500.0, "above", 80, 100, "accept", None),
    (100.0, "above", None, 100, "accept", None),
    (101.0, "above", None, 100, "reject", "hard"),
    (101.0, "above", 100, None, "warn", "warn"),
    (100.0, "above", 100, None, "accept", None),
    (101.0, "above", 100, 100, "reject", "hard"),
    (0.0, "above", None, 0, "accept", None),
    (-0.0, "above", None, 0, "accept", None),
    (5e-324, "above", None, 0, "reject", "hard"),
    (-1.0, "above", None, -2, "reject", "hard"),
    (-2.0, "above", None, -2, "accept", None),
    (80.0, "below", 100, 50, "warn", "warn"),
    (100.0, "below", 100, 50, "accept", None),
    (50.0, "below", 100, 50, "warn", "warn"),
    (49.0, "below", 100, 50, "reject", "hard"),
    (-1.0, "below", None, 0, "reject", "hard"),
    (0.0, "below", None, 0, "accept", None),
    (500.0, "below", 100, 50, "accept", None),
    (-101.0, "absolute", 80, 100, "reject", "hard"),
    (-100.0, "absolute", 80, 100, "warn", "warn"),
    (-80.0, "absolute", 80, 100, "accept", None),
    (101.0, "absolute", 80, 100, "reject", "hard"),
    (0.0, "absolute", None, 0, "accept", None),
]


@pytest.mark.parametrize(
    ("observed", "comparison", "warn", "hard", "decision", "severity"), THRESHOLDS
)
def test_a_threshold_is_broken_only_beyond_it(observed, comparison, warn, hard, decision, severity):
    """An equal number is not a breach; beyond hard there is one breach, and it is hard."""
    limit = Limit(MEASURE, warn=warn, hard=hard, comparison=comparison)

    found, decided = judge([limit], observed)

    assert decided == decision
    assert [breach.severity for breach in found.breaches] == ([severity] if severity else [])
    for breach in found.breaches:
        assert breach.observed == observed
        assert breach.threshold == (hard if severity == "hard" else warn)
        assert (breach.row, breach.limit) == (0, limit)
        assert type(breach.severity) is Severity
        assert (type(breach.row), type(breach.observed)) == (int, float)


# missing_data, warn, hard -> the decision of a limit that cannot be evaluated
GAPS = [
    ("reject", None, 100, "reject"),
    ("reject", 80, 100, "reject"),
    ("reject", 80, None, "warn"),
    ("warn", None, 100, "warn"),
    ("warn", 80, 100, "warn"),
    ("warn", 80, None, "warn"),
    ("skip", None, 100, "none"),
    ("skip", 80, 100, "none"),
    ("skip", 80, None, "none"),
]
NO_NUMBER = [outcome for outcome in Outcome if not outcome.has_value]


@pytest.mark.parametrize("outcome", NO_NUMBER, ids=lambda outcome: outcome.name)
@pytest.mark.parametrize(("missing_data", "warn", "hard", "decision"), GAPS)
def test_missing_data_decides_as_the_limit_states(outcome, missing_data, warn, hard, decision):
    """The limit is listed with its reason in every case, and is not a breach."""
    limit = Limit(MEASURE, warn=warn, hard=hard, missing_data=missing_data)

    found, decided = judge([limit], outcome)

    assert decided == decision
    assert found.limits_applied.tolist() == [0]
    assert found.breaches == []
    assert [(gap.row, gap.limit, gap.reason) for gap in found.gaps] == [
        (0, limit, outcome.name.lower())
    ]
    assert type(found.gaps[0].row) is int


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome.has_value])
def test_a_number_with_a_remark_is_compared_with_its_limit(outcome):
    """The limit is evaluated."""
    cells = MeasureColumn(np.array([5.0]), np.array([outcome], dtype=np.int8))
    limits = LimitSet("s", [Limit(MEASURE, hard=4)])

    found = evaluate(limits, {MeasureName(MEASURE): cells}, np.array([True]), ["p"], [{}])

    assert [breach.observed for breach in found.breaches] == [5.0]
    assert found.gaps == []


@pytest.mark.parametrize("outcome", NO_NUMBER, ids=lambda outcome: outcome.name)
def test_a_measure_without_a_valid_number_breaks_no_limit(outcome):
    """The outcome decides whether there is a number; the value in the column is not read."""
    cells = MeasureColumn(np.array([5.0]), np.array([outcome], dtype=np.int8))
    limits = LimitSet("s", [Limit(MEASURE, warn=1, hard=4)])

    found = evaluate(limits, {MeasureName(MEASURE): cells}, np.array([True]), ["p"], [{}])

    assert found.breaches == []
    assert [gap.reason for gap in found.gaps] == [outcome.name.lower()]


def test_limits_read_an_undefined_share_as_zero():
    """The concentration of an empty book is undefined; no limit above 0 rejects it."""
    cells = MeasureColumn(np.zeros(1), np.array([Outcome.ZERO_GROSS], dtype=np.int8))
    limits = LimitSet("s", [Limit("concentration", hard=0.25)])

    found = evaluate(limits, {MeasureName("concentration"): cells}, np.array([True]), ["p"], [{}])

    assert GRAVITY[found.gravity[0]] is Decision.ACCEPT
    assert found.breaches == found.gaps == []


def test_without_limits_there_is_no_decision():
    """Nor with an empty set of limits: nothing was compared, so nothing was accepted."""
    assert judge(None, 5.0)[1] == "none"
    assert judge(None, Outcome.NOT_FINITE)[1] == "none"
    assert judge([], 5.0)[1] == "none"


def test_a_portfolio_to_which_no_limit_applies_is_not_accepted():
    """Another case of a tag's value, a tag of another name, an id in another case."""
    for applies_to in ({"desk": "Equity"}, {"Desk": "equity"}, {"portfolio_id": "P"}):
        found, decided = judge(
            [Limit(MEASURE, hard=1, applies_to=applies_to)], 5.0, tags={"desk": "equity"}
        )

        assert (decided, found.limits_applied.tolist()) == ("none", [0])
        assert found.breaches == found.gaps == []


def test_a_set_may_reject_a_portfolio_without_a_limit():
    """Also one whose limits were all skipped, and one of an empty set; not an invalid row."""
    columns = {
        MeasureName(MEASURE): column(5.0, 5.0, 5.0, 5.0),
        MeasureName("volatility"): column(*[Outcome.NOT_FINITE] * 4),
    }
    limits = [
        Limit(MEASURE, hard=9, applies_to={"desk": "fx"}),
        Limit("volatility", hard=1, applies_to={"desk": "rates"}, missing_data="skip"),
    ]
    limit_set = LimitSet("s", limits, unmatched="reject")
    tags = [{"desk": "fx"}, {"desk": "rates"}, {"desk": "FX"}, {}]
    valid = np.array([True, True, True, False])

    found = evaluate(limit_set, columns, valid, list("abcd"), tags)

    assert [GRAVITY[level].value for level in found.gravity] == [
        "accept",
        "reject",
        "reject",
        "none",
    ]
    assert found.limits_applied.tolist() == [1, 0, 0, 0]
    assert [(gap.row, gap.limit, gap.reason) for gap in found.gaps] == [
        (1, limits[1], "not_finite"),
        (1, limit_set, "no_limit_applied"),
        (2, limit_set, "no_limit_applied"),
    ]
    empty = evaluate(LimitSet("s", [], unmatched="reject"), {}, np.array([True]), ["p"], [])
    assert GRAVITY[empty.gravity[0]] is Decision.REJECT


def test_a_limit_that_was_compared_accepts_beside_one_that_was_skipped():
    """The number of limits applied counts those that were compared."""
    columns = {
        MeasureName(MEASURE): column(5.0, Outcome.NOT_FINITE),
        MeasureName("volatility"): column(Outcome.NOT_FINITE, Outcome.NOT_FINITE),
    }
    limits = [
        Limit(MEASURE, hard=9, missing_data="skip"),
        Limit(MEASURE, hard=8, missing_data="skip", id="second"),
        Limit("volatility", hard=1, missing_data="skip"),
    ]

    found = evaluate(LimitSet("s", limits), columns, np.full(2, True), ["p", "q"], [])

    assert [GRAVITY[level].value for level in found.gravity] == ["accept", "none"]
    assert found.limits_applied.tolist() == [2, 0]
    assert found.matched == [2, 2, 2]
    assert found.limits_applied.dtype == np.int32


@pytest.mark.parametrize("limits", [None, [], [Limit(MEASURE, hard=4)]], ids=["none", "no", "one"])
def test_each_decision_takes_one_byte(limits):
    """With and without limits: the column of decisions has one type."""
    found, _ = judge(limits, 5.0)

    assert found.gravity.dtype == np.int8
    assert found.gravity.shape == (1,)


def test_an_evaluation_cannot_be_changed():
    """Neither its breaches, nor its gaps, nor their rows."""
    limits = [Limit(MEASURE, hard=4), Limit("volatility", hard=1)]
    columns = {
        MeasureName(MEASURE): column(5.0),
        MeasureName("volatility"): column(Outcome.NOT_FINITE),
    }
    found = evaluate(LimitSet("s", limits), columns, np.array([True]), ["p"], [{}])

    for one, place in (
        (found.breaches[0], "severity"),
        (found.gaps[0], "reason"),
        (found, "gravity"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(one, place, None)


def test_an_evaluation_equals_only_itself():
    """An array comparison has no single truth value, so blocks are not compared."""
    one, other = judge([], 5.0)[0], judge([], 5.0)[0]

    assert one != other
    assert len({one, one, other}) == 2


def test_all_breaches_are_reported_and_not_only_the_first():
    """The most severe one decides; all are listed in the order of the limits."""
    limits = [
        Limit(MEASURE, warn=1, id="a"),
        Limit(MEASURE, hard=2, id="b"),
        Limit(MEASURE, warn=3, hard=99, id="c"),
        Limit(MEASURE, hard=4, id="d"),
        Limit(MEASURE, hard=99, id="e"),
    ]

    found, decided = judge(limits, 5.0)

    assert decided == "reject"
    assert [(breach.limit.id, breach.severity.value) for breach in found.breaches] == [
        ("a", "warn"),
        ("b", "hard"),
        ("c", "warn"),
        ("d", "hard"),
    ]


def test_the_most_severe_breach_decides_in_any_order():
    """A later warning does not soften a rejection, nor does a skipped gap."""
    hard, warn = Limit(MEASURE, hard=1, id="h"), Limit(MEASURE, warn=1, id="w")
    skipped = Limit("volatility", hard=1, missing_data="skip")
    columns = {
        MeasureName(MEASURE): column(5.0),
        MeasureName("volatility"): column(Outcome.WINDOW_TOO_SHORT),
    }

    for limits in ([hard, warn, skipped], [skipped, warn, hard]):
        found = evaluate(LimitSet("s", limits), columns, np.array([True]), ["p"], [{}])

        assert GRAVITY[found.gravity[0]] is Decision.REJECT
        assert len(found.breaches) == 2
        assert len(found.gaps) == 1


def test_a_limit_applies_only_to_the_portfolios_in_its_scope():
    """By tag, by one of several values, by the portfolio's id; rows keep their order."""
    limits = LimitSet(
        "s",
        [
            Limit(MEASURE, hard=1, applies_to={"desk": ["fx", "rates"]}, id="desks"),
            Limit(MEASURE, warn=1, applies_to={"portfolio_id": "d"}, id="one"),
            Limit("volatility", hard=1, applies_to={"desk": "fx"}, id="gap"),
        ],
    )
    columns = {
        MeasureName(MEASURE): column(5.0, 5.0, 0.5, 5.0, 5.0),
        MeasureName("volatility"): column(*[Outcome.NOT_FINITE] * 5),
    }
    tags = [{}, {"desk": "rates"}, {"desk": "fx"}, {"desk": "credit"}, {"desk": "fx"}]

    found = evaluate(limits, columns, np.full(5, True), list("abcde"), tags)

    assert [(breach.row, breach.limit.id) for breach in found.breaches] == [
        (1, "desks"),
        (4, "desks"),
        (3, "one"),
    ]
    assert [(gap.row, gap.limit.id) for gap in found.gaps] == [(2, "gap"), (4, "gap")]
    assert found.matched == [3, 1, 2]
    assert [GRAVITY[level].value for level in found.gravity] == [
        *("none", "reject", "reject", "warn", "reject")
    ]


def test_limits_on_ids_apply_to_portfolios_without_tags():
    """Also if no portfolio of the block has a tag."""
    limits = LimitSet(
        "s",
        [
            Limit(MEASURE, hard=1, applies_to={"portfolio_id": "q"}),
            Limit(MEASURE, hard=1, applies_to={"desk": "fx"}),
        ],
    )
    columns = {MeasureName(MEASURE): column(5.0, 5.0)}

    found = evaluate(limits, columns, np.array([True, True]), ["p", "q"], [])

    assert [(breach.row, breach.limit) for breach in found.breaches] == [(1, limits.limits[0])]


@pytest.mark.parametrize("tags", [[{"desk": "fx"}], [{"desk": "fx"}] * 3])
def test_tags_of_another_number_of_portfolios_are_refused(tags):
    """The tags of one row, spread over all rows, would apply limits to the wrong books."""
    limits = LimitSet("s", [Limit(MEASURE, hard=1, applies_to={"desk": "fx"})])
    columns = {MeasureName(MEASURE): column(5.0, 5.0)}

    with pytest.raises(ValueError, match="zip"):
        evaluate(limits, columns, np.array([True, True]), ["p", "q"], tags)


def test_invalid_rows_are_skipped():
    """A portfolio with an error has no breach and no gap: it is rejected already."""
    limits = LimitSet("s", [Limit(MEASURE, hard=1), Limit("volatility", hard=1)])
    columns = {
        MeasureName(MEASURE): column(5.0, 5.0),
        MeasureName("volatility"): column(Outcome.NOT_COMPUTED, 0.0),
    }

    found = evaluate(limits, columns, np.array([False, True]), ["p", "q"], [{}, {}])

    assert [breach.row for breach in found.breaches] == [1]
    assert found.gaps == []


def test_a_block_without_portfolios_is_evaluated():
    """No rows, no decisions, with a scope or without one."""
    limits = [Limit(MEASURE, hard=1), Limit(MEASURE, hard=1, applies_to={"desk": "fx"})]

    for limit_set in (None, LimitSet("s", limits)):
        found = evaluate(limit_set, {MeasureName(MEASURE): column()}, np.array([], bool), [], [])

        assert len(found.gravity) == 0
        assert found.breaches == found.gaps == []


UTILISATIONS = [
    ("above", 150.0, 100.0, 1.5),
    ("above", 50.0, 100.0, 0.5),
    ("above", -50.0, 100.0, -0.5),
    ("above", 50.0, 0.0, None),
    ("above", 0.0, 0.0, None),
    ("above", -1.0, -2.0, None),
    ("absolute", -150.0, 100.0, 1.5),
    ("absolute", 150.0, 100.0, 1.5),
    ("absolute", -1.0, 0.0, None),
    ("absolute", -1.0, -2.0, None),
    ("below", 50.0, 100.0, 2.0),
    ("below", 200.0, 100.0, 0.5),
    ("below", 0.0, 100.0, None),
    ("below", -50.0, 100.0, None),
    ("below", -50.0, 0.0, None),
    ("below", -50.0, -25.0, None),
    # a threshold so small that the quotient overflows
    ("above", 1e10, 5e-324, None),
    ("absolute", -1e10, 5e-324, None),
    ("below", 5e-324, 1e10, None),
]


@pytest.mark.parametrize(("comparison", "observed", "threshold", "expected"), UTILISATIONS)
def test_utilisation_is_the_used_part_of_the_threshold(comparison, observed, threshold, expected):
    """Observed over threshold, and threshold over observed for a floor; a number or None."""
    limit = Limit(MEASURE, hard=threshold, comparison=comparison)

    used = utilisation(limit, observed, threshold)

    assert used == expected
    json.dumps(used, allow_nan=False)


# few distinct values, so that equal and repeated ones are frequent
values = st.integers(-4, 4).map(float) | st.sampled_from([0.5, -0.0, 1e300, 5e-324])
cells = values | st.sampled_from(NO_NUMBER)
ids = st.sampled_from("pqr")
tags = st.dictionaries(st.sampled_from(["desk", "book"]), st.sampled_from("abc"))
MEASURES = ["net_exposure", "market_value", "value_at_risk@0.95"]


@st.composite
def limit_lists(draw):
    """Up to five limits on three measures without bounds, with scopes of two tags and of the id."""
    result = []
    for place in range(draw(st.integers(0, 5))):
        comparison = draw(st.sampled_from(list(Comparison)))
        pair = sorted([draw(values), draw(values)], reverse=comparison == "below")
        kept = draw(st.sampled_from([(0,), (1,), (0, 1)]))
        letters = st.lists(st.sampled_from("abcpq"), min_size=1, max_size=3, unique=True)
        scope = st.dictionaries(
            st.sampled_from(["desk", "book", "portfolio_id"]), letters, max_size=2
        )
        limit = Limit(
            draw(st.sampled_from(MEASURES)),
            warn=pair[0] if 0 in kept else None,
            hard=pair[1] if 1 in kept else None,
            comparison=comparison,
            missing_data=draw(st.sampled_from(["reject", "warn", "skip"])),
            short_window=draw(st.sampled_from(["reject", "warn", "use"])),
            applies_to=draw(scope),
            id=str(place),
        )
        result.append(limit)
    return result


books = st.lists(st.tuples(ids, tags, st.tuples(cells, cells, cells), st.booleans()), max_size=4)


@given(st.none() | limit_lists(), books)
def test_the_evaluation_equals_a_simple_one(limits, rows):
    """For each portfolio: the decision, every breach with its numbers, and every gap."""
    columns = {
        MeasureName.parse(name): column(*(row[2][place] for row in rows))
        for place, name in enumerate(MEASURES)
    }
    of_past = [name for name in MEASURES if MeasureName.parse(name).definition.of_past]
    for name in of_past:
        key = MeasureName.parse(name)
        columns[key] = columns[key].over(np.full(len(rows), 100))
    names, of_rows = [row[0] for row in rows], [row[1] for row in rows]

    found = evaluate(
        None if limits is None else LimitSet("s", limits),
        columns,
        np.ones(len(rows), dtype=bool),
        names,
        of_rows,
        np.array([row[3] for row in rows], dtype=bool),
    )

    documents = None if limits is None else [limit_document(limit) for limit in limits]
    for row, (portfolio_id, of_row, numbers, is_short) in enumerate(rows):
        measures = {
            name: (None, cell.name.lower()) if isinstance(cell, Outcome) else (cell, None)
            for name, cell in zip(MEASURES, numbers, strict=True)
        }
        decision, n_compared, breaches, gaps = naive.evaluate(
            documents, portfolio_id, of_row, measures, of_past if is_short else ()
        )
        assert GRAVITY[found.gravity[row]].value == decision
        assert found.limits_applied[row] == n_compared
        assert [_breach(one) for one in found.breaches if one.row == row] == breaches
        assert [_gap(one) for one in found.gaps if one.row == row] == gaps


# short_window, warn, hard, observed -> the decision on a short window, and the rule in the gap
SHORT_WINDOWS = [
    ("warn", None, 100, 50.0, "warn", ["warn"]),
    ("warn", None, 100, 101.0, "reject", ["warn"]),
    ("warn", 40, None, 50.0, "warn", ["warn"]),
    ("reject", None, 100, 50.0, "reject", ["reject"]),
    ("reject", 80, None, 50.0, "reject", ["reject"]),
    ("use", None, 100, 50.0, "accept", []),
    ("use", None, 100, 101.0, "reject", []),
]


@pytest.mark.parametrize(("rule", "warn", "hard", "observed", "decision", "rules"), SHORT_WINDOWS)
def test_a_short_window_has_at_least_the_effect_that_the_limit_states(
    rule, warn, hard, observed, decision, rules
):
    """Thresholds are compared as usual, and the limit counts as applied."""
    limit = Limit("volatility", warn=warn, hard=hard, short_window=rule)
    cells = column(observed).over(np.array([130]))
    columns = {MeasureName("volatility"): cells}

    found = evaluate(
        LimitSet("s", [limit]), columns, np.array([True]), ["p"], [{}], np.array([True])
    )

    assert GRAVITY[found.gravity[0]] == decision
    assert [(gap.limit, gap.reason, gap.rule) for gap in found.gaps] == [
        (limit, "short_window", one) for one in rules
    ]
    assert found.limits_applied.tolist() == [1]


def test_a_short_window_concerns_only_measures_of_the_past():
    """And only the portfolios that have one."""
    limits = LimitSet("s", [Limit(MEASURE, hard=9), Limit("volatility", hard=9)])
    columns = {
        MeasureName(MEASURE): column(1.0, 1.0),
        MeasureName("volatility"): column(1.0, 1.0).over(np.array([130, 1000])),
    }

    found = evaluate(
        limits, columns, np.ones(2, bool), ["p", "q"], [{}] * 2, np.array([True, False])
    )

    assert [GRAVITY[one] for one in found.gravity] == ["warn", "accept"]
    assert [(gap.row, gap.limit.id) for gap in found.gaps] == [(0, "volatility")]


def _breach(found):
    return {
        "limit": found.limit.id,
        "severity": found.severity.value,
        "observed": found.observed,
        "threshold": found.threshold,
        "utilisation": found.utilisation,
    }


def _gap(found):
    return {
        "limit": found.limit.id,
        "reason": found.reason,
        "missing_data": found.rule,
    }
