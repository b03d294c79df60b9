"""What a message must look like before a worker decodes it.

Stock workers die of some malformed messages and put them back on the way out, so that one message
takes every worker down. Whatever does not pass here is quarantined with its reason.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import msgspec

from risk_tasks.queues import SERVED_TASKS

#: a check by the JSON door carries its portfolio in the message
MAX_MESSAGE_BYTES = 1 << 20


class _Headers(msgspec.Struct):
    task: str
    id: str
    retries: int | None = None
    timelimit: tuple[float | None, float | None] | None = None
    eta: str | None = None
    expires: str | None = None
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    origin: str | None = None
    argsrepr: str | None = None
    kwargsrepr: str | None = None
    ignore_result: bool | None = None
    stamps: dict[str, Any] | None = None
    stamped_headers: list[str] | None = None


class _DeliveryInfo(msgspec.Struct):
    routing_key: str
    exchange: str


class _Properties(msgspec.Struct):
    delivery_tag: str
    delivery_info: _DeliveryInfo
    body_encoding: str
    correlation_id: str | None = None
    reply_to: str | None = None
    priority: int | None = None


class _Message(msgspec.Struct):
    body: str
    headers: _Headers
    properties: _Properties
    content_type: str = msgspec.field(name="content-type")
    content_encoding: str = msgspec.field(name="content-encoding")


_MESSAGE = msgspec.json.Decoder(_Message)


def find_fault(message: bytes) -> str | None:
    """Return why a worker must not see `message`, or None where it may.

    Size first, then shape, then the task, and the arguments last; nothing is evaluated.
    """
    if len(message) > MAX_MESSAGE_BYTES:
        return f"oversized: {len(message)} bytes of {MAX_MESSAGE_BYTES}"
    try:
        read = _MESSAGE.decode(message)
        if read.headers.task not in SERVED_TASKS:
            return f"unknown task: {read.headers.task[:80]}"
        if read.content_type != "application/json" or read.content_encoding.lower() != "utf-8":
            return f"not JSON: {read.content_type[:80]}"
        _require_arguments(_body(read))
        for moment in (read.headers.eta, read.headers.expires):
            if moment is not None:
                datetime.fromisoformat(moment)
    except (ValueError, RecursionError) as error:
        return f"malformed: {str(error)[:200]}"
    return None


def _require_arguments(body: bytes) -> None:
    """Require args, kwargs and what Celery embeds; a NaN among them is for the task to refuse."""
    match json.loads(body):
        case [list(), dict(), None | dict()]:
            return
    raise ValueError("the body is not [args, kwargs, embed]")


def _body(message: _Message) -> bytes:
    encoding = message.properties.body_encoding
    if encoding == "base64":
        return base64.b64decode(message.body, validate=True)
    if encoding == "utf-8":
        return message.body.encode()
    raise ValueError(f"body encoding {encoding[:20]!r}")
