"""Celery messages written by hand: the one that carries a block's id, and those of other tasks.

Celery needs 0.4 ms and more to publish a message; these are strings. A test holds it against
what the installed Celery writes, so that an upgrade that changes the format is noticed.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Mapping
from typing import Any

from risk_tasks.queues import CHECK_BLOCK_TASK, LIMIT_BREACH_TASK, Lane

_ORIGIN = socket.gethostname()
#: args, kwargs, callbacks
_EMPTY_BODY = "[[], {}, {}]"


def envelope(block_id: str, lane: Lane, summary: str) -> bytes:
    """Return the message of a block for the list of `lane`; its id is the task's.

    `summary` is what Flower shows of it: ids and counts.
    """
    return task_message(CHECK_BLOCK_TASK, block_id, lane.queue, summary=summary)


def handing_message() -> bytes:
    """Return the message for the critical lane that has changes handed on to those who listen."""
    task_id = f"handing-{uuid.uuid4().hex}"
    return task_message(LIMIT_BREACH_TASK, task_id, Lane.CRITICAL.queue)


def task_message(
    task: str,
    task_id: str,
    queue: str,
    kwargs: Mapping[str, Any] | None = None,
    *,
    summary: str = "()",
) -> bytes:
    """Return the message that has `task` called with `kwargs`, in protocol 2 of Celery."""
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
