"""Celery's Redis transport with validation of each message before a worker decodes it.

Some malformed messages crash a stock worker, which requeues them on its way out, so that one
message stops every worker. Here kombu reads the lanes through a client that quarantines such
messages with the reason. The transport also leaves out bookkeeping that the ledger makes redundant.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any, cast

import msgspec
import redis
from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS, SentinelChannel, SentinelTransport, Transport

from risk_tasks.broker.dead_letters import DeadLetters
from risk_tasks.broker.heartbeat import Heartbeat
from risk_tasks.connection import text
from risk_tasks.log import log
from risk_tasks.queues import CHECK_BLOCK_TASK, SERVED_TASKS, lane_of_queue

#: `risk.check` carries its portfolio in the message
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
    """Return why a worker must not decode `message`, or None if it may.

    Checks the size first, then the shape, the task and the arguments; evaluates nothing.
    """
    if len(message) > MAX_MESSAGE_BYTES:
        return f"oversized: {len(message)} bytes of {MAX_MESSAGE_BYTES}"
    try:
        read = _MESSAGE.decode(message)
        if read.headers.task not in SERVED_TASKS:
            return f"unknown task: {read.headers.task[:80]}"
        if read.content_type != "application/json" or read.content_encoding.lower() != "utf-8":
            return f"not JSON: {read.content_type[:80]}"
        # A NaN among the arguments is left to the task.
        match json.loads(_body(read)):
            case [list(), dict(), None | dict()]:
                pass
            case _:
                return "malformed: the body is not [args, kwargs, embed]"
        for moment in (read.headers.eta, read.headers.expires):
            if moment is not None:
                datetime.fromisoformat(moment)
    except (ValueError, RecursionError) as error:
        return f"malformed: {str(error)[:200]}"
    return None


def _body(message: _Message) -> bytes:
    encoding = message.properties.body_encoding
    if encoding == "base64":
        return base64.b64decode(message.body, validate=True)
    if encoding == "utf-8":
        return message.body.encode()
    raise ValueError(f"body encoding {encoding[:20]!r}")


class GuardedRedis(redis.Redis):
    """Quarantines each message of a lane in which `find_fault` finds a fault."""

    heartbeat = Heartbeat(None)

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        response = super().parse_response(connection, command_name, **options)
        if command_name != "BRPOP":
            return response
        self.heartbeat.beat()
        if not response:
            return response
        queue, message = text(response[0]), response[1]
        # Replies to `inspect` arrive here too; the names of their queues start differently.
        fault = find_fault(message) if queue.startswith("risk.") else None
        if fault is None:
            return response
        log.warning("message.quarantined", queue=queue, fault=fault)
        letters = DeadLetters(redis.Redis(connection_pool=self.connection_pool))
        letters.quarantine(message, lane=lane_of_queue(queue), reason=fault)
        return None


class LedgerQoS(QoS):
    """Tracks a fetched block in memory only; if this worker dies, the reaper requeues the block.

    kombu writes each fetched message into `unacked` and removes it afterwards. The ledger already
    holds each block, so this saves two round trips per block.
    """

    def append(self, message: Any, delivery_tag: str) -> None:
        if _is_block(message):
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        if _is_block(self._delivered.get(delivery_tag)):
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        message = self._delivered.get(tag)
        if message is None or not _is_block(message):
            super().restore_by_tag(tag, client, leftmost)
            return
        to = message.delivery_info
        with self.channel.conn_or_acquire(client) as server:
            self.channel._do_restore_message(  # noqa: SLF001 - as kombu's own class does
                message._raw,  # noqa: SLF001
                to["exchange"],
                to["routing_key"],
                server,
                leftmost,
            )


def _is_block(message: Any) -> bool:
    return message is not None and message.headers.get("task") == CHECK_BLOCK_TASK


class GuardedChannel(Channel):
    """Reads through `GuardedRedis` and reuses one client for writing."""

    QoS = LedgerQoS
    from_transport_options: Any = (*Channel.from_transport_options, "heartbeat_file")
    heartbeat_file: str | None = None
    _writer: GuardedRedis | None = None

    def _get_client(self) -> type[GuardedRedis]:
        super()._get_client()
        return GuardedRedis

    def _create_client(self, asynchronous: bool = False) -> GuardedRedis:
        # kombu makes a client for each acknowledgement, which takes 0.5 ms. Only clients that read
        # own a connection and are made each time.
        if asynchronous:
            reader = cast("GuardedRedis", super()._create_client(asynchronous=True))
            reader.heartbeat = Heartbeat(self.heartbeat_file)
            return reader
        if self._writer is None or self._writer.connection_pool is not self.pool:
            self._writer = super()._create_client()
        return self._writer


class GuardedTransport(Transport):
    """The class that the setting `broker_transport` names."""

    Channel = GuardedChannel


class GuardedSentinelChannel(GuardedChannel, SentinelChannel):
    """The same, on the primary that Sentinels name at each new connection."""

    from_transport_options: Any = (*SentinelChannel.from_transport_options, "heartbeat_file")


class GuardedSentinelTransport(SentinelTransport):
    """The transport of a broker behind Sentinels."""

    Channel = GuardedSentinelChannel
