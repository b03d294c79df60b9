"""When checks go alone, when they share a message and how long they wait, without a clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.client.coalescing import Coalescer, CoalescingPolicy
from risk_tasks.errors import InvalidSettingsError

TWO = CoalescingPolicy(max_checks=2, max_wait_s=0.01)


def test_a_single_check_goes_at_once():
    """Also the next one, after the first is answered."""
    coalescer = Coalescer(TWO)

    assert coalescer.add("kind", "a", 0.0) == ["a"]
    coalescer.end()
    assert coalescer.add("kind", "b", 1.0) == ["b"]


def test_checks_gather_while_a_message_is_in_progress():
    """Until they fill a message."""
    coalescer = Coalescer(TWO)
    coalescer.add("kind", "first", 0.0)

    assert coalescer.add("kind", "a", 0.001) is None
    assert coalescer.next_at() == pytest.approx(0.011)
    assert coalescer.add("kind", "b", 0.002) == ["a", "b"]
    assert coalescer.next_at() is None


def test_no_check_waits_longer_than_the_bound():
    """The first check of a message sets its time."""
    coalescer = Coalescer(TWO)
    coalescer.add("kind", "first", 0.0)
    coalescer.add("kind", "a", 0.5)

    assert (coalescer.due(0.509)) == []
    assert (coalescer.due(0.51)) == [["a"]]
    assert (coalescer.due(9.9)) == []


def test_gathered_checks_go_when_nothing_is_in_progress():
    coalescer = Coalescer(TWO)
    coalescer.add("kind", "first", 0.0)
    coalescer.add("kind", "a", 0.001)

    coalescer.end()

    assert (coalescer.due(0.001)) == [["a"]]


def test_checks_with_other_keys_do_not_share_a_message():
    coalescer = Coalescer(TWO)
    coalescer.add("one", "first", 0.0)
    assert coalescer.add("one", "a", 0.0) is None
    assert coalescer.add("other", "b", 0.0) is None

    assert coalescer.due(1.0) == [["a"], ["b"]]


def test_checks_gather_while_another_call_is_in_progress():
    coalescer = Coalescer(TWO)
    coalescer.begin()

    assert coalescer.add("kind", "a", 0.0) is None
    assert coalescer.is_gathering("kind")
    coalescer.end()
    assert (coalescer.due(0.0)) == [["a"]]
    assert not coalescer.is_gathering("kind")


def test_an_item_may_be_several_checks():
    """The bound counts checks, not items."""
    coalescer = Coalescer(CoalescingPolicy(max_checks=10, max_wait_s=0.01))
    coalescer.begin()

    assert coalescer.add("kind", "a", 0.0, 4) is None
    assert coalescer.add("kind", "b", 0.0, 5) is None
    assert coalescer.add("kind", "c", 0.0, 5) == ["a", "b", "c"]
    assert coalescer.add("kind", "d", 0.0, 4) is None


@given(
    st.integers(1, 4),
    st.lists(st.sampled_from(["add one", "add other", "begin", "arrive", "wait"]), max_size=60),
)
def test_every_check_leaves_once_in_order_and_in_time(max_checks, steps):
    """In any sequence of events: messages are bounded, of one key, and in time."""
    company = CoalescingPolicy(max_checks=max_checks, max_wait_s=0.01)
    coalescer, now, n, under_way = Coalescer(company), 0.0, 0, 0
    left, came = {"one": [], "other": []}, {"one": [], "other": []}

    def leave(kind, block):
        nonlocal under_way
        assert 0 < len(block) <= max_checks
        assert {of for of, _ in block} == {kind}
        left[kind] += block
        under_way += 1

    for step in [*steps, "wait"]:
        if step.startswith("add"):
            kind = step.removeprefix("add ")
            came[kind].append((kind, n))
            block = coalescer.add(kind, (kind, n), now)
            n += 1
            if block is not None:
                leave(kind, block)
        elif step == "begin":
            coalescer.begin()
            under_way += 1
        elif step == "arrive" and under_way:
            coalescer.end()
            under_way -= 1
        elif step == "wait":
            now += company.max_wait_s
        for block in coalescer.due(now):
            leave(block[0][0], block)
        assert coalescer.next_at() is None or coalescer.next_at() > now

    assert left == came


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"max_checks": 0}, "max_checks"),
        ({"max_checks": "5"}, "max_checks"),
        ({"max_checks": 5.0}, "max_checks"),
        ({"max_wait_s": "0.01"}, "max_wait_s"),
        ({"max_wait_s": -0.001}, "max_wait_s"),
        ({"max_wait_s": 0.051}, "max_wait_s"),
        ({"max_wait_s": float("nan")}, "max_wait_s"),
    ],
)
def test_invalid_bounds_are_refused(terms, field):
    """By the name of the argument."""
    with pytest.raises(InvalidSettingsError) as caught:
        CoalescingPolicy(**terms)
    assert caught.value.field == field
