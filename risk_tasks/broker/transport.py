"""Celery's Redis transport with a guard at the door.

The worker stays a stock one: kombu reads the lanes through a client that looks at each message
before kombu does, and says "nothing there" of one that it has put into quarantine. What stands in
the ledger already is not written down a second time.
"""

from __future__ import annotations

from typing import Any, cast

import redis
import structlog
from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS, Transport

from risk_tasks.broker.dead_letters import DeadLetters
from risk_tasks.broker.guard import find_fault
from risk_tasks.broker.heartbeat import Heartbeat
from risk_tasks.connection import text
from risk_tasks.queues import CHECK_BLOCK_TASK, lane_of_queue

log = structlog.get_logger("risk_tasks")


class GuardedRedis(redis.Redis):
    """Quarantines what `find_fault` finds among the messages fetched from the lanes."""

    heartbeat = Heartbeat(None)

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        response = super().parse_response(connection, command_name, **options)
        if command_name != "BRPOP":
            return response
        self.heartbeat.beat()
        if not response:
            return response
        queue, message = response
        # Answers to `inspect` come by lists too.
        fault = find_fault(message) if text(queue).startswith("risk.") else None
        if fault is None:
            return response
        log.warning("message.quarantined", queue=text(queue), fault=fault)
        letters = DeadLetters(redis.Redis(connection_pool=self.connection_pool))
        letters.quarantine(message, lane=lane_of_queue(text(queue)), reason=fault)
        return None


class LedgerQoS(QoS):
    """Remembers a fetched block in memory: where this worker dies, the reaper puts the block back.

    kombu writes every message that it hands out into `unacked` and removes it afterwards: two round
    trips a message, for what the ledger knows.
    """

    def append(self, message: Any, delivery_tag: str) -> None:
        if _is_block(message):
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        message = self._delivered.get(delivery_tag)
        if message is not None and _is_block(message):
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        message = self._delivered.get(tag)
        if message is None or not _is_block(message):
            super().restore_by_tag(tag, client, leftmost)
            return
        place = message.delivery_info
        with self.channel.conn_or_acquire(client) as server:
            self.channel._do_restore_message(  # noqa: SLF001 - as kombu's own class does
                message._raw,  # noqa: SLF001
                place["exchange"],
                place["routing_key"],
                server,
                leftmost,
            )


def _is_block(message: Any) -> bool:
    return bool(message.headers.get("task") == CHECK_BLOCK_TASK)


class GuardedChannel(Channel):
    """Reads through the guard, and keeps the client that it writes with."""

    QoS = LedgerQoS
    from_transport_options = (*Channel.from_transport_options, "heartbeat_file")  # type: ignore[assignment]
    heartbeat_file: str | None = None
    _writer: GuardedRedis | None = None

    def _get_client(self) -> type[GuardedRedis]:
        super()._get_client()
        return GuardedRedis

    def _create_client(self, asynchronous: bool = False) -> GuardedRedis:
        # kombu makes one for each acknowledgement: half a millisecond a message. Those that read
        # own a connection, and are made anew.
        if asynchronous:
            reader = cast("GuardedRedis", super()._create_client(asynchronous=True))
            reader.heartbeat = Heartbeat(self.heartbeat_file)
            return reader
        if self._writer is None or self._writer.connection_pool is not self.pool:
            self._writer = super()._create_client()
        return self._writer


class GuardedTransport(Transport):
    """What `broker_transport` names."""

    Channel = GuardedChannel
