"""Celery messages written without Celery, which needs at least 0.4 ms to publish one.

A test compares them with the messages of the installed Celery, so that an upgrade that changes the
format is noticed.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from risk_tasks.queues import CHECK_BLOCK_TASK, LIMIT_BREACH_TASK, Lane

_ORIGIN = socket.gethostname()
#: args, kwargs, callbacks
_EMPTY_BODY = "[[], {}, {}]"


def envelope(block_id: str, lane: Lane, summary: str) -> bytes:
    """Return the message of a block for the queue of `lane`; the block's id is the task's id.

    `summary` is shown by Flower instead of the arguments.
    """
    return task_message(CHECK_BLOCK_TASK, block_id, lane.queue, summary=summary)


def dispatch_message() -> bytes:
    """Return the message for the critical lane that dispatches breaches to their listeners."""
    task_id = f"dispatch-{uuid.uuid4().hex}"
    return task_message(LIMIT_BREACH_TASK, task_id, Lane.CRITICAL.queue)


def task_message(
    task: str,
    task_id: str,
    queue: str,
    kwargs: Mapping[str, Any] | None = None,
    *,
    summary: str = "()",
) -> bytes:
    """Return a message of Celery's protocol 2 that calls `task` with `kwargs`."""
    message = {
        "body": json.dumps([[], kwargs, {}]) if kwargs else _EMPTY_BODY,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": task_id,
            "root_id": task_id,
            "parent_id": None,
            "group": None,
            "retries": 0,
            "timelimit": [None, None],
            "eta": None,
            "expires": None,
            "ignore_result": True,
            "argsrepr": summary,
            "kwargsrepr": "{}",
            "origin": f"{os.getpid()}@{_ORIGIN}",
        },
        "properties": {
            "correlation_id": task_id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "utf-8",
            "delivery_tag": task_id,
        },
    }
    return json.dumps(message, separators=(",", ":")).encode()


_MAX_SHOWN = 40


def block_summary(lane: str, ids: Sequence[object]) -> str:
    """Return one line about the checks of `ids`, at least one, in the order of their block."""
    first, n_checks = shown_id(ids[0]), len(ids)
    if n_checks == 1:
        return f"{lane}: 1 check, {first}"
    return f"{lane}: {n_checks} checks, {first} to {shown_id(ids[-1])}"


def shown_id(value: object) -> str:
    """Return an id of any content as a short printable text."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value)[:_MAX_SHOWN])
    return text + "..." if len(str(value)) > _MAX_SHOWN else text
