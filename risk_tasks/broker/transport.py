"""Celery's Redis transport with a guard at the door.

The worker stays a stock one: kombu reads the lanes through a client that looks at each message
before kombu does, and says "nothing there" of one that it has put into quarantine.
"""

from __future__ import annotations

from typing import Any

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
    """Reads through the guard."""

    def _get_client(self) -> type[GuardedRedis]:
        super()._get_client()
        return GuardedRedis


class GuardedTransport(Transport):
    """What `broker_transport` names."""

    Channel = GuardedChannel
