"""The benchmark of live portfolios finds mistakes in the reported changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from benchmarks.live.state_check import StateCheck
from risk_tasks.model.live import LimitChange, LimitStanding, LimitState

OK, WARN, HARD = LimitState.OK, LimitState.WARN, LimitState.HARD


def change(version: int, before: LimitState, state: LimitState) -> LimitChange:
    return LimitChange(
        id=f"{version}-0",
        event_id=f"e{version}",
        portfolio_id="p",
        version=version,
        before=before,
        standing=LimitStanding(limit="net", measure="net_exposure", state=state),
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def mistakes(changes, states) -> list[str]:
    checked = StateCheck()
    for one in changes:
        checked.add(one)
    assert checked.n == len(changes)
    return checked.mistakes(states)


CHAIN = [change(2, OK, HARD), change(3, HARD, WARN), change(7, WARN, OK), change(8, OK, WARN)]
NOW = {("p", "net"): WARN, ("q", "net"): OK}


def test_a_chain_that_ends_in_the_current_states_has_no_mistake():
    assert mistakes(CHAIN, NOW) == []


@pytest.mark.parametrize(
    ("changes", "states", "line"),
    [
        ([*CHAIN, CHAIN[-1]], NOW, "read twice"),
        (CHAIN[1:], NOW, "and it was ok"),
        ([*CHAIN[:1], *CHAIN[2:]], NOW, "and it was hard"),
        (CHAIN[:-1], NOW, "is warn, and was read as ok"),
        (CHAIN, {**NOW, ("q", "net"): HARD}, "is hard, and was read as ok"),
        ([*CHAIN[:3], replace(CHAIN[3], version=6)], NOW, "version 6 after 7"),
        ([*CHAIN, replace(CHAIN[3], event_id="e9", before=WARN)], NOW, "and it was warn"),
    ],
)
def test_lost_duplicate_and_reordered_changes_are_found(changes, states, line):
    assert any(line in mistake for mistake in mistakes(changes, states))
