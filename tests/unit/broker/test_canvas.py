"""What the guard accepts of a canvas, and which queues a canvas names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from celery import Celery, chain, chord, group, signature
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.broker.canvas import require_allowed, result_ids
from risk_tasks.broker.envelope import envelope
from risk_tasks.broker.transport import find_fault, waiting_results
from risk_tasks.errors import CallbackQueueError
from risk_tasks.queues import CHECK_TASK, Lane

APP = Celery("other", set_as_current=False)


def decide(queue: str | None = None) -> Any:
    return APP.signature("other.decide", **({"queue": queue} if queue else {}))


def message(embed: object, *, task: str = CHECK_TASK, **headers: Any) -> bytes:
    content = json.loads(envelope("id-1", Lane.NORMAL, ""))
    content["body"] = json.dumps([[], {}, embed])
    content["headers"] |= {"task": task, **headers}
    return json.dumps(content).encode()


def embedded(name: str, value: Any) -> dict[str, Any]:
    """What Celery embeds, as the worker reads it."""
    return json.loads(json.dumps({name: value}))


GOOD = {
    "link": embedded("callbacks", [decide()]),
    "link_error": embedded("errbacks", [decide("celery")]),
    "chain": embedded("chain", [decide("elsewhere"), decide()]),
    "group in a chain": embedded("chain", [group(decide(), decide())]),
    "chain in a link": embedded("callbacks", [chain(decide(), decide("elsewhere"))]),
    "chord": embedded("chord", decide()),
    "chord in a chain": embedded("chain", [chord([decide()], decide())]),
    "none": {"callbacks": None, "errbacks": None, "chain": None, "chord": None},
}


@pytest.mark.parametrize("embed", GOOD.values(), ids=GOOD)
def test_every_canvas_of_celery_is_accepted(embed):
    """Only what the worker sends itself must go to an allowed queue."""
    assert find_fault(message(embed)) is None
    require_allowed(embed, ["celery"])


BAD = {
    "chain of texts": {"chain": ["a"]},
    "chain of numbers": {"chain": [1]},
    "callback without arguments": {"callbacks": [{"task": "x"}]},
    "chord without arguments": {"chord": {"task": "x"}},
    "chain a text": {"chain": "abc"},
    "errbacks a number": {"errbacks": 7},
    "another key": {"id": "forged"},
    "a group without tasks": embedded("callbacks", [{**decide(), "subtask_type": "group"}]),
    "an unknown type": embedded("callbacks", [{**decide(), "subtask_type": "xmap"}]),
    "a chain of numbers in a link": embedded(
        "callbacks", [{**decide(), "subtask_type": "chain", "kwargs": {"tasks": [1]}}]
    ),
    "a connection": embedded("callbacks", [{**decide(), "options": {"connection": "redis://x"}}]),
    "a queue that is not a name": embedded("callbacks", [{**decide(), "options": {"queue": [1]}}]),
}


@pytest.mark.parametrize("embed", BAD.values(), ids=BAD)
def test_what_celery_could_not_send_is_refused(embed):
    assert "malformed" in find_fault(message(embed))


@pytest.mark.parametrize("name", ["callbacks", "errbacks", "chain", "chord"])
def test_a_canvas_in_the_headers_is_refused(name):
    """Celery would read it like one in the body."""
    assert "malformed" in find_fault(message(None, **{name: [1]}))


def test_a_task_of_this_package_has_no_canvas():
    """Nothing follows the sweep or a block."""
    embed = embedded("callbacks", [decide()])

    assert find_fault(message(embed, task="risk.sweep")) == "canvas not allowed: risk.sweep"


@pytest.mark.parametrize(
    "embed",
    [
        embedded("callbacks", [decide("elsewhere")]),
        embedded("errbacks", [decide("elsewhere")]),
        embedded("chain", [decide("celery"), decide("elsewhere")]),
        embedded("chain", [group(decide(), decide("elsewhere"))]),
        embedded("chord", decide("elsewhere")),
        embedded("chain", [chord([decide("elsewhere")], decide())]),
        embedded("chain", [chord([decide()], decide("elsewhere"))]),
        embedded("callbacks", [decide().set(exchange="elsewhere", routing_key="celery")]),
    ],
)
def test_a_queue_that_is_not_allowed_is_named(embed):
    with pytest.raises(CallbackQueueError, match="elsewhere"):
        require_allowed(embed, ["celery"])


def test_a_lane_is_never_allowed():
    """Even if the settings named it."""
    embed = embedded("callbacks", [decide("risk.critical")])

    with pytest.raises(CallbackQueueError, match=r"risk\.critical"):
        require_allowed(embed, ["celery", "risk.critical"])


def test_the_callers_of_a_refused_message_are_found():
    """The task, the rest of its chain and the body of its chord."""
    last, body = decide().set(task_id="last"), decide().set(task_id="body")
    embed = {**embedded("chain", [last]), **embedded("chord", body)}

    assert result_ids(embed) == ["last", "body"]
    assert waiting_results(message(embed, task="unknown")) == ["id-1", "last", "body"]
    assert waiting_results(message({"chain": ["a"]})) == ["id-1"]
    assert waiting_results(b"garbage") == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("task", "args", "kwargs", "options", "subtask_type", "tasks", "body")),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
SIGNATURES = st.fixed_dictionaries(
    {"task": st.just("x"), "args": st.lists(JSON, max_size=1), "kwargs": JSON, "options": JSON},
    optional={"subtask_type": st.sampled_from(("group", "chain", "chord", None, "xmap"))},
)
EMBEDS = st.dictionaries(
    st.sampled_from(("callbacks", "errbacks", "chain", "chord")),
    JSON | SIGNATURES | st.lists(SIGNATURES | JSON, max_size=2),
    max_size=2,
)


@given(EMBEDS)
def test_celery_reads_each_accepted_canvas(embed):
    """Each canvas that the guard lets through is a signature to Celery."""
    if find_fault(message(embed)) is not None:
        return
    for name in ("callbacks", "errbacks", "chain"):
        for one in embed.get(name) or ():
            signature(one, app=APP)
    if embed.get("chord"):
        signature(embed["chord"], app=APP)
