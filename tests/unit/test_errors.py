"""The tree of errors: as it is drawn, with a message and a remedy in every leaf."""

from __future__ import annotations

import inspect
import re

import pytest

from risk_tasks import errors
from risk_tasks.errors import (
    DeadLetterError,
    QueueFullError,
    QuotaExceededError,
    ReportTimeoutError,
    RequestError,
    RiskTasksError,
    TransportError,
    request_error,
)

CLASSES = [
    kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, Exception)
]
#: what the classes that take more than a message need
NEEDED = {
    QuotaExceededError: {"checks_per_s": 1.0, "retry_after_s": 0.1},
    DeadLetterError: {"check_id": "c"},
    QueueFullError: {"depth": 3, "capacity": 2, "retry_after_s": 0.5},
    ReportTimeoutError: {"check_id": "c.1"},
}


def drawn_tree() -> list[tuple[str, str | None, str]]:
    """Return (class, parent, what stands beside it) as the module's docstring draws them."""
    rows: list[tuple[str, str | None, str]] = []
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"    ([│ ├└─]*)(\w+Error)\s*(.*)", line)
        if match is None:
            continue
        depth = len(match[1]) // 4
        rows.append((match[2], above[depth - 1] if depth else None, match[3]))
        above[depth:] = [match[2]]
    return rows


def test_the_tree_is_drawn_as_it_is():
    """Every class, under its parent, and none that is not there."""
    real = {(kind.__name__, kind.__base__.__name__) for kind in CLASSES}

    drawn = {(name, parent or "Exception") for name, parent, _ in drawn_tree()}

    assert drawn == real
    assert len(drawn_tree()) == len(CLASSES)


def test_codes_are_drawn_beside_their_classes():
    """Save for the two at the roots, which say what they stand for."""
    for name, _, beside in drawn_tree():
        kind = getattr(errors, name)
        if kind not in {RiskTasksError, RequestError}:
            assert beside == kind.code


def test_codes_tell_the_classes_apart():
    """Reports, logs and the JSON door know an error by its code."""
    codes = [kind.code for kind in CLASSES]

    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch("[a-z_]+", code) for code in codes)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_has_a_message_and_a_remedy_of_its_own(kind):
    """Each stands in its own docstring, in whole sentences."""
    error = kind(**NEEDED.get(kind, {}))

    message, remedy = inspect.cleandoc(kind.__doc__).split("\n\n")
    assert error.message == " ".join(message.split())
    assert error.remedy == " ".join(remedy.split())
    assert error.message.endswith(".")
    assert error.remedy.endswith(".")
    assert str(error) == f"{error.message} {error.remedy}"
    assert error.field is None
    assert error.args == (error.message,)


def test_what_is_said_of_one_case_comes_before_what_holds_for_all():
    """Message, field and remedy may be given; the field stands first."""
    error = RequestError("Too much.", field="cash", remedy="Take less.")

    assert (error.message, error.field, error.remedy) == ("Too much.", "cash", "Take less.")
    assert str(error) == "cash: Too much. Take less."
    assert error.args == ("Too much.",)


def test_only_what_is_worth_a_second_try_says_so():
    """What concerns the way to a worker, and nothing of the request."""
    retriable = {kind for kind in CLASSES if kind.retriable}

    assert retriable == {kind for kind in CLASSES if issubclass(kind, TransportError)}


def test_a_full_lane_says_how_full_it_is_and_when_to_come_back():
    """In fields that a caller can act on."""
    error = QueueFullError("Full.", depth=3, capacity=2, retry_after_s=0.5)

    assert (error.depth, error.capacity, error.retry_after_s) == (3, 2, 0.5)
    assert error.message == "Full."


def test_a_report_that_is_late_says_of_which_check():
    """So that it can be asked for again."""
    error = ReportTimeoutError("Late.", check_id="c.1")

    assert error.check_id == "c.1"
    assert error.message == "Late."


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_code_leads_back_to_the_class_of_a_bad_request(kind):
    """And to none where it is not the caller's fault."""
    is_request = issubclass(kind, RequestError) and kind is not RequestError

    assert request_error(kind.code) is (kind if is_request else None)


def test_an_unknown_code_is_no_bad_request():
    """As a newer worker may send it."""
    assert request_error("bad_luck") is None
