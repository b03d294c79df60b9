"""One spoil through its doors: the verdicts, and what is not allowed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.silent.doors import Doors, Request
from tests.silent.expected import expect
from tests.silent.outcomes import Verdict, judge
from tests.silent.spoils import SPOILS, Draw
from tests.silent.worlds import Sheets, World, worlds

_UNCONCERNED = frozenset((Verdict.SAME, Verdict.REFUSED, Verdict.NAMED))


@dataclass(frozen=True)
class Finding:
    """The verdict of one door on one portfolio of one spoilt world."""

    spoil: str
    door: str
    portfolio: str
    verdict: Verdict
    is_allowed: bool
    text: str


def examine(name: str, doors: Doors, draw: Draw) -> Iterator[Finding]:
    """Draw a world, spoil it, send it through every door that takes it, and judge the answers."""
    world = draw(worlds())
    case = SPOILS[name](world, draw)
    carrier = draw(st.sampled_from(case.carriers))
    for door in sorted(case.doors):
        right, sheets = case.right, case.sheets
        if door == "arrow":
            right = right.without_scenarios()
            sheets = _without_scenarios(sheets)
        if "week" not in sheets.scenarios:
            right = _without_measure(right, "stress_loss:week")
        outcome = doors.ask(door, Request(sheets, right.measures, carrier))
        verdicts = judge(expect(right), outcome, may_accept=case.may_accept)
        for portfolio, (verdict, text) in verdicts.items():
            concerned = case.concerns is None or bool(case.concerns & _held(sheets, portfolio))
            allowed = case.allowed if concerned else _UNCONCERNED
            yield Finding(
                name, door, portfolio, verdict, verdict in allowed, f"{carrier} {case.note} {text}"
            )


def _held(sheets: Sheets, portfolio: str) -> set[str]:
    rows = zip(sheets.book[0][1], sheets.book[1][1], strict=True)
    return {instrument for book, instrument in rows if book == portfolio}


def _without_scenarios(sheets: Sheets) -> Sheets:
    limits = [one for one in sheets.limits if ":" not in one["measure"]]
    return replace(sheets, limits=limits)


def _without_measure(world: World, measure: str) -> World:
    return replace(world, measures=tuple(name for name in world.measures if name != measure))
