"""What a door answered, and whether it is right, refused, named, or silently wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tests.silent.expected import Expected

_TOLERANCE = 1e-7


class Verdict(StrEnum):
    """Members are in order of gravity; the verdict of a case is the gravest of its portfolios."""

    #: the right numbers and the right decision
    SAME = "same"
    #: a typed error that says what is wrong
    REFUSED = "refused"
    #: other numbers or another decision, and the answer says what was found, or does not accept
    NAMED = "named"
    #: another plain answer: the fault that these tests look for
    SILENT = "silent"
    #: an error without a type, or of the server
    CRASHED = "crashed"


@dataclass(frozen=True)
class Refusal:
    """The whole request was refused; `typed` if the error has a code, a field and a remedy."""

    text: str
    typed: bool


@dataclass(frozen=True)
class Answer:
    """The answer for one portfolio; `limits_applied` is None where the answer has no such field."""

    #: value by measure; None unless it is ok or degraded
    measures: Mapping[str, float | None]
    decision: str
    status: str
    limits_applied: int | None
    #: `n_observations`, or None
    n_observations: int | None
    #: kinds of findings about the data, and "short_window"
    findings: frozenset[str]
    #: measures with the status degraded
    degraded: frozenset[str] = frozenset()


Outcome = Refusal | Mapping[str, Answer]


def judge(
    expected: Mapping[str, Expected], outcome: Outcome, *, may_accept: bool
) -> dict[str, tuple[Verdict, str]]:
    """Return the verdict and its reason for each portfolio.

    With `may_accept`, an answer with a finding may accept what the right numbers reject: if the
    right numbers do not follow from the data.
    """
    if isinstance(outcome, Refusal):
        kind = Verdict.REFUSED if outcome.typed else Verdict.CRASHED
        return dict.fromkeys(expected, (kind, outcome.text))
    return {
        name: _judged(right, outcome[name], may_accept)
        if name in outcome
        else (Verdict.SILENT, "no answer")
        for name, right in expected.items()
    }


def _judged(right: Expected, answer: Answer, may_accept: bool) -> tuple[Verdict, str]:
    if answer.status == "error":
        kind = Verdict.REFUSED if answer.decision == "reject" else Verdict.SILENT
        return kind, "an error of this portfolio"
    other = [name for name, value in right.measures.items() if _differs(answer, name, value)]
    # Another number of outcomes behind equal numbers is another answer too.
    counts = answer.n_observations in (None, right.n_observations)
    applied = answer.limits_applied in (None, right.limits_applied)
    if not other and counts and applied and answer.decision == right.decision:
        return Verdict.SAME, ""
    is_named = _is_named(right, answer, other, counts=counts, may_accept=may_accept)
    text = (
        f"{answer.decision} for {right.decision}, {sorted(answer.findings)}, "
        f"{answer.limits_applied} limits for {right.limits_applied}, "
        f"{answer.n_observations} outcomes for {right.n_observations}, "
        + ", ".join(
            f"{name} {answer.measures.get(name)} for {right.measures[name]}" for name in other
        )
    )
    return (Verdict.NAMED if is_named else Verdict.SILENT), text


def _is_named(
    right: Expected, answer: Answer, other: list[str], *, counts: bool, may_accept: bool
) -> bool:
    plain = [name for name in other if answer.measures.get(name) is not None]
    plain = [name for name in plain if name not in answer.degraded]
    if (plain or not counts) and not answer.findings:
        return False
    if answer.decision == "none":
        return answer.limits_applied == 0
    if answer.decision in ("warn", "reject") or answer.decision == right.decision:
        return bool(other or answer.findings) or answer.limits_applied != right.limits_applied
    # It accepts what the right numbers do not.
    fewer = answer.limits_applied is not None and answer.limits_applied < right.limits_applied
    return fewer or (bool(answer.findings) and may_accept)


def _differs(answer: Answer, name: str, right: float) -> bool:
    value = answer.measures.get(name)
    return value is None or not math.isclose(value, right, rel_tol=_TOLERANCE, abs_tol=1e-9)
