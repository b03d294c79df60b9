"""The tree of errors: equal to the drawing, with a message and a remedy in every leaf."""

from __future__ import annotations

import inspect
import re

import pytest

from risk_tasks import errors
from risk_tasks.errors import (
    DeadLetterError,
    NotReplicatedError,
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
#: the arguments of the classes that need more than a message
NEEDED = {
    NotReplicatedError: {"confirmed": 0, "required": 1},
    QuotaExceededError: {"checks_per_s": 1.0, "retry_after_s": 0.1},
    DeadLetterError: {"check_id": "c"},
    QueueFullError: {"depth": 3, "capacity": 2, "retry_after_s": 0.5},
    ReportTimeoutError: {"check_id": "c.1"},
}


def drawn_tree() -> list[tuple[str, str | None, str]]:
    """Return (class, parent, text beside it) from the drawing in the module's docstring."""
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


def test_the_drawing_equals_the_tree_of_classes():
    """Every class is drawn under its parent."""
    real = {(kind.__name__, kind.__base__.__name__) for kind in CLASSES}

    drawn = {(name, parent or "Exception") for name, parent, _ in drawn_tree()}

    assert drawn == real
    assert len(drawn_tree()) == len(CLASSES)


def test_codes_are_drawn_beside_their_classes():
    """Except the two roots, which have a description."""
    for name, _, beside in drawn_tree():
        kind = getattr(errors, name)
        if kind not in {RiskTasksError, RequestError}:
            assert beside == kind.code


def test_each_class_has_its_own_code():
    """Reports, logs and the JSON task name an error by its code."""
    codes = [kind.code for kind in CLASSES]

    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch("[a-z_]+", code) for code in codes)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_each_error_has_its_own_message_and_remedy(kind):
    """They are whole sentences of its docstring."""
    error = kind(**NEEDED.get(kind, {}))

    message, remedy = inspect.cleandoc(kind.__doc__).split("\n\n")
    assert error.message == " ".join(message.split())
    assert error.remedy == " ".join(remedy.split())
    assert error.message.endswith(".")
    assert error.remedy.endswith(".")
    assert str(error) == f"{error.message} {error.remedy}"
    assert error.field is None
    assert error.args == (error.message,)


def test_given_texts_override_those_of_the_class():
    """Message, field and remedy can be given; the field is first."""
    error = RequestError("Too much.", field="cash", remedy="Take less.")

    assert (error.message, error.field, error.remedy) == ("Too much.", "cash", "Take less.")
    assert str(error) == "cash: Too much. Take less."
    assert error.args == ("Too much.",)


def test_only_errors_that_may_pass_later_are_retryable():
    """Errors between client and worker, not errors of the request."""
    retriable = {kind for kind in CLASSES if kind.retriable}

    assert retriable == {kind for kind in CLASSES if issubclass(kind, TransportError)}


def test_a_full_lane_has_its_depth_and_a_retry_time():
    """In attributes that a caller can read."""
    error = QueueFullError("Full.", depth=3, capacity=2, retry_after_s=0.5)

    assert (error.depth, error.capacity, error.retry_after_s) == (3, 2, 0.5)
    assert error.message == "Full."


def test_a_report_timeout_has_the_id_of_the_check():
    """So that the report can be read later."""
    error = ReportTimeoutError("Late.", check_id="c.1")

    assert error.check_id == "c.1"
    assert error.message == "Late."


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_code_gives_the_class_of_a_bad_request(kind):
    """And None for an error that is not the caller's."""
    is_request = issubclass(kind, RequestError) and kind is not RequestError

    assert request_error(kind.code) is (kind if is_request else None)


def test_an_unknown_code_is_not_a_bad_request():
    """A newer worker may send one."""
    assert request_error("bad_luck") is None
