"""What the guard lets a worker see, part by part; whole malformed messages are in tests/faults."""

from __future__ import annotations

import base64
import json

import pytest

from risk_tasks.app import create_app
from risk_tasks.broker.envelope import envelope
from risk_tasks.broker.transport import MAX_MESSAGE_BYTES, find_fault
from risk_tasks.queues import SERVED_TASKS, Lane
from risk_tasks.settings import Settings
from risk_tasks.tasks import register, register_live, register_prewarming

GOOD = json.loads(envelope("block", Lane.NORMAL, "3 checks"))
BODY = json.dumps([[], {}, None])


def fault_of(*, properties=None, **changes):
    """What the guard says of a good message with `changes`."""
    message = {**GOOD, **changes}
    message["properties"] = {**GOOD["properties"], **(properties or {})}
    return find_fault(json.dumps(message).encode())


def test_our_own_message_may_be_seen():
    assert find_fault(envelope("block", Lane.NORMAL, "3 checks")) is None


def test_a_message_may_be_as_large_as_the_bound_and_no_larger():
    """Counted in bytes, before anything is read."""
    message = json.dumps(GOOD).encode()
    filled = message + b" " * (MAX_MESSAGE_BYTES - len(message))

    assert find_fault(filled) is None
    assert "oversized" in find_fault(filled + b" ")


@pytest.mark.parametrize(
    "change",
    [{"content-type": "application/x-python-serialize"}, {"content-encoding": "binary"}],
    ids=["type", "encoding"],
)
def test_either_of_type_and_encoding_is_enough_to_be_refused(change):
    """Pickle in UTF-8 is as foreign as JSON in something else."""
    assert "not JSON" in fault_of(**change)


def test_a_body_in_base64_is_read_and_what_is_not_base64_is_refused():
    """Python would skip the characters that do not belong."""
    encoded = base64.b64encode(BODY.encode()).decode()

    assert fault_of(body=encoded, properties={"body_encoding": "base64"}) is None
    assert "malformed" in fault_of(body="!" + encoded, properties={"body_encoding": "base64"})


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_nesting_without_end_is_refused_wherever_it_stands(depth):
    """The parser gives up, not the worker."""
    nested = "[" * depth + "]" * depth

    assert "malformed" in fault_of(body=nested)
    assert "malformed" in find_fault(b'{"body": ' + nested.encode() + b"}")


def test_an_unknown_task_and_times_that_are_none_are_refused():
    """Before Celery looks them up."""
    for task in ("os.system", "risk.unknown"):
        assert "unknown task" in fault_of(headers={**GOOD["headers"], "task": task})
    for name in ("eta", "expires"):
        assert "malformed" in fault_of(headers={**GOOD["headers"], name: "soon"})


def test_the_guard_lets_in_what_workers_serve_and_nothing_else():
    """A task that no worker has registered would be rejected by Celery, and lost."""
    app = create_app(Settings(broker_url="redis://nobody:1/0"))
    register(app, service=None, documents=None, broker=None, recorder=None)
    register_prewarming(app, prewarmer=None)
    register_live(app, positions=None, dispatch=None)
    served = {name for name in app.tasks if not name.startswith("celery.")}

    assert served == SERVED_TASKS
