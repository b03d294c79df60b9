"""What Flower shows of a message: ids and counts, without positions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.broker.envelope import block_summary, shown_id
from risk_tasks.broker.redaction import report_summary, request_summary


def test_a_block_shows_its_lane_its_size_and_its_first_and_last_id():
    assert block_summary("critical", ["desk"]) == "critical: 1 check, desk"
    assert block_summary("batch", ["a", "b", "c"]) == "batch: 3 checks, a to c"


@pytest.mark.parametrize(
    ("args", "kwargs", "shown"),
    [
        ((), {"portfolio": {"id": "a", "positions": {"X": 1.0}}}, "a, 1 position"),
        (({"id": "a", "positions": {"X": 1, "Y": 2}},), {}, "a, 2 positions"),
        ((), {"portfolio": {"id": "a"}}, "a, 0 positions"),
        ((), {"portfolio": {"positions": [1, 2]}}, "None, 2 positions"),
        ((), {"portfolio": {"id": "a", "positions": 7}}, "a, 0 positions"),
        ((), {"portfolio": "live-7"}, "live-7"),
        ((), {"portfolio": None}, "?"),
        ((), {}, "?"),
        ((7,), {"market": "m"}, "?"),
    ],
    ids=str,
)
def test_a_request_shows_its_id_and_its_number_of_positions(args, kwargs, shown):
    """Also an invalid one."""
    assert request_summary("normal", args, kwargs) == f"normal: 1 check, {shown}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(portfolio=JSON, more=st.lists(JSON, max_size=2))
def test_every_invalid_request_has_a_summary(portfolio, more):
    """A worker makes the summary before the service validates the request."""
    line = request_summary("normal", more, {"portfolio": portfolio})

    assert line.isprintable()
    assert len(line) < 120


@given(quantities=st.dictionaries(st.sampled_from("QXYZ"), st.integers(10**6, 10**9), min_size=1))
def test_positions_are_not_shown(quantities):
    line = request_summary("normal", (), {"portfolio": {"id": "a", "positions": quantities}})

    assert not any(str(number) in line for number in quantities.values())
    assert not any(name in line for name in quantities)


def test_a_report_shows_its_decision_or_its_error_code():
    assert (
        report_summary({"portfolio_id": "a", "decision": "reject", "breaches": [1, 2]})
        == "a: reject, 2 breaches"
    )
    assert (
        report_summary({"portfolio_id": "a", "decision": "reject", "code": "no_market"})
        == "a: no_market, 0 breaches"
    )
    assert report_summary({"breaches": [1]}) == "None: None, 1 breach"


def test_an_id_in_a_summary_is_short_and_printable():
    assert shown_id("x" * 40) == "x" * 40
    assert shown_id("x" * 41) == "x" * 40 + "..."
    assert shown_id('a\n{"level": 1}\x1b[2J') == 'a?{"level": 1}?[2J'
    assert json.dumps(shown_id("\ud800")) == '"?"'
