"""The Celery message that carries a block's id, written by hand.

Celery needs 0.4 ms and more to publish a message; this one is a string. A test holds it against
what the installed Celery writes, so that an upgrade that changes the format is noticed.
"""

from __future__ import annotations

import json
import os
import socket

from risk_tasks.lanes import CHECK_BLOCK_TASK, Priority

_ORIGIN = socket.gethostname()
#: args, kwargs, callbacks: the block's id is the task's
_BODY = "[[], {}, {}]"


def envelope(block_id: str, lane: Priority, summary: str) -> bytes:
    """Return the message, in protocol 2 of Celery, for the list of `lane`.

    `summary` is what Flower shows of it: ids and counts.
    """
    message = {
        "body": _BODY,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": CHECK_BLOCK_TASK,
            "id": block_id,
            "root_id": block_id,
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
            "correlation_id": block_id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": lane.queue},
            "priority": 0,
            "body_encoding": "utf-8",
            "delivery_tag": block_id,
        },
    }
    return json.dumps(message, separators=(",", ":")).encode()
