"""Celery's Redis transport with a guard at the door.

The worker stays a stock one: kombu reads the lanes through a client that looks at each message
before kombu does, and says "nothing there" of one that it has put into quarantine.
"""

from __future__ import annotations

from typing import Any, cast

import redis
import structlog
from kombu.transport.redis import Channel, Transport

from risk_tasks.broker.dead_letters import DeadLetters
from risk_tasks.broker.guard import find_fault
from risk_tasks.connection import text

log = structlog.get_logger("risk_tasks")


class GuardedRedis(redis.Redis):
    """Quarantines what `find_fault` finds among the messages fetched from the lanes."""

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        response = super().parse_response(connection, command_name, **options)
        if command_name != "BRPOP" or not response:
            return response
        queue, message = response
        fault = find_fault(message)
        if fault is None:
            return response
        log.warning("message.quarantined", queue=text(queue), fault=fault)
        letters = DeadLetters(redis.Redis(connection_pool=self.connection_pool))
        letters.quarantine(message, lane=text(queue).removeprefix("risk."), reason=fault)
        return None


class GuardedChannel(Channel):
    """Reads through the guard, and keeps the client that it writes with."""

    _writer: GuardedRedis | None = None

    def _get_client(self) -> type[GuardedRedis]:
        super()._get_client()
        return GuardedRedis

    def _create_client(self, asynchronous: bool = False) -> GuardedRedis:
        # kombu makes one for each acknowledgement: half a millisecond a message. Those that read
        # own a connection, and are made anew.
        if asynchronous:
            return cast("GuardedRedis", super()._create_client(asynchronous=True))
        if self._writer is None or self._writer.connection_pool is not self.pool:
            self._writer = super()._create_client()
        return self._writer


class GuardedTransport(Transport):
    """What `broker_transport` names."""

    Channel = GuardedChannel
