"""Ids of calls, written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.client.check_ids import CheckId
from risk_tasks.client.options import of_row
from risk_tasks.errors import ReportTimeoutError, TransportError, UnknownCheckError

places = st.integers(0, 10**9 - 1)


@given(
    st.builds(
        CheckId,
        st.text(min_size=1),
        st.integers(0, 999_999),
        st.none() | st.tuples(places, places),
    )
)
def test_an_id_is_read_as_it_was_written(check_id):
    """Whatever names the call."""
    assert CheckId.parse(str(check_id)) == check_id


def test_an_id_says_whose_rows_it_means():
    """All of them, or those from one place to before another."""
    assert list("abcde")[CheckId.parse("call.0.1").own] == list("abcde")
    assert list("abcde")[CheckId.parse("call.0.1:1-3").own] == ["b", "c"]
    assert list(CheckId.parse("call.0.2:1-3").block_ids()) == ["call.0.0of2", "call.0.1of2"]


@pytest.mark.parametrize(
    "text",
    [None, 7, "", "nonsense", ".1", "a.", "a.x", "a.1234567", "a.1:", "a.1:2", "a.1:-2", "a.²"],
)
def test_anything_else_is_no_id(text):
    """And is told as one that is not known."""
    with pytest.raises(UnknownCheckError):
        CheckId.parse(text)


def test_an_error_of_a_block_is_told_to_each_of_its_rows():
    """Only one that is late names a call, and then the row's own part of it."""
    late = of_row(ReportTimeoutError("Late.", check_id="call.0.1"), 3)

    assert isinstance(late, ReportTimeoutError)
    assert (late.message, late.check_id) == ("Late.", "call.0.1:3-4")
    for error in (TransportError("Down."), ReportTimeoutError("Late.", check_id="")):
        assert of_row(error, 3) is error
