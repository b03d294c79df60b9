"""What the guard accepts, part by part; whole malformed messages are in tests/faults."""

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
    """The guard's result for a valid message with `changes`."""
    message = {**GOOD, **changes}
    message["properties"] = {**GOOD["properties"], **(properties or {})}
    return find_fault(json.dumps(message).encode())


def test_our_own_message_is_accepted():
    assert find_fault(envelope("block", Lane.NORMAL, "3 checks")) is None


def test_a_message_at_the_size_limit_is_accepted_and_a_larger_one_is_refused():
    """Bytes are counted before anything is parsed."""
    message = json.dumps(GOOD).encode()
    filled = message + b" " * (MAX_MESSAGE_BYTES - len(message))

    assert find_fault(filled) is None
    assert "oversized" in find_fault(filled + b" ")


@pytest.mark.parametrize(
    "change",
    [{"content-type": "application/x-python-serialize"}, {"content-encoding": "binary"}],
    ids=["type", "encoding"],
)
def test_a_foreign_type_or_encoding_alone_is_refused(change):
    """Pickle in UTF-8, and JSON in another encoding."""
    assert "not JSON" in fault_of(**change)


def test_a_body_in_base64_is_read_and_invalid_base64_is_refused():
    """Python would skip the invalid characters."""
    encoded = base64.b64encode(BODY.encode()).decode()

    assert fault_of(body=encoded, properties={"body_encoding": "base64"}) is None
    assert "malformed" in fault_of(body="!" + encoded, properties={"body_encoding": "base64"})


def test_a_body_in_an_unknown_encoding_is_refused():
    """The reason names the encoding."""
    assert "body encoding 'zlib'" in fault_of(properties={"body_encoding": "zlib"})


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_deep_nesting_is_refused_in_every_part(depth):
    """The parser raises an error, and the worker continues."""
    nested = "[" * depth + "]" * depth

    assert "malformed" in fault_of(body=nested)
    assert "malformed" in find_fault(b'{"body": ' + nested.encode() + b"}")


def test_an_unknown_task_and_invalid_times_are_refused():
    """Before Celery reads them."""
    for task in ("os.system", "risk.unknown"):
        assert "unknown task" in fault_of(headers={**GOOD["headers"], "task": task})
    for name in ("eta", "expires"):
        assert "malformed" in fault_of(headers={**GOOD["headers"], name: "soon"})


def test_the_guard_accepts_exactly_the_tasks_that_workers_serve():
    """Celery would reject a task that no worker has registered, and lose it."""
    app = create_app(Settings(broker_url="redis://nobody:1/0"))
    register(app, service=None, documents=None, broker=None, record_block=None)
    register_prewarming(app, prewarmer=None)
    register_live(app, positions=None, dispatch=None)
    served = {name for name in app.tasks if not name.startswith("celery.")}

    assert served == SERVED_TASKS
