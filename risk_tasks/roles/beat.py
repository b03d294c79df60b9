"""RedBeat's scheduler, made to outlive faults of the server.

RedBeat acquires its lock once at the start and ends if it loses it. Here each tick takes or renews
the lock, a failed tick is repeated, and all times are those of the server.
"""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from typing import Any

import redis
from celery.beat import SchedulingError
from kombu.exceptions import KombuError
from redbeat import RedBeatScheduler
from redbeat.decoder import to_timestamp
from redbeat.schedulers import get_redis

from risk_tasks.connection import hold_lock, read_clock
from risk_tasks.errors import TransportError
from risk_tasks.roles.outage import Outage
from risk_tasks.server_clock import ServerClock

_FAULTS = (TransportError, redis.RedisError, KombuError, SchedulingError, OSError)
_RETRY_S = 0.5

_logger = logging.getLogger("celery.beat")


class EnduringScheduler(RedBeatScheduler):
    """Sends due tasks while it holds the lock; of several schedulers, one holds it."""

    def __init__(
        self, app: Any, *, client: redis.Redis, clock: ServerClock, **options: Any
    ) -> None:
        self._client = client
        self._clock = clock
        self._owner = uuid.uuid4().hex
        self._holds = False
        self._is_stored = False
        self._outage = Outage("schedule")
        super().__init__(app, **options)
        # Without a key RedBeat neither waits for the lock at the start nor extends it.
        self._key = app.redbeat_conf.lock_key
        self.lock_key = None

    def setup_schedule(self) -> None:
        """Do nothing: the schedule is stored by the first tick with the lock."""

    def tick(self, **options: Any) -> float:
        """Send what is due; returns the seconds to the next tick, also after a fault."""
        try:
            wait_s = self._tick(**options)
        except _FAULTS as error:
            # The server may have lost the schedule.
            self._is_stored = False
            self._outage.failed(error)
            return _RETRY_S
        self._outage.ended()
        return wait_s

    def _tick(self, **options: Any) -> float:
        read_clock(self._client, self._clock)
        if not self._hold():
            return float(self.max_interval)
        if not self._is_stored:
            super().setup_schedule()
            self._is_stored = True
        self._repair_schedule()
        return float(super().tick(**options))

    def _hold(self) -> bool:
        held = self._holds
        self._holds = hold_lock(self._client, self._key, self._owner, int(self.lock_timeout))
        if not self._holds:
            self._is_stored = False
            # A lock without an expiry would never pass on; schedulers renew theirs.
            self._client.expire(self._key, int(self.lock_timeout), nx=True)
        if held != self._holds:
            _logger.info("beat: Acquired lock" if self._holds else "beat: Lost lock")
        return self._holds

    def _repair_schedule(self) -> None:
        """Store entries that are missing or that a wrong clock has put too far into the future."""
        conf = self.app.redbeat_conf
        due = dict(get_redis(self.app).zrange(conf.schedule_key, 0, -1, withscores=True))
        now_s = to_timestamp(self.app.now())
        for name, plan in conf.schedule.items():
            entry = self._maybe_entry(name, dict(plan))
            next_s = due.get(entry.key)
            if next_s is None:
                entry.save()
            elif next_s > now_s + entry.schedule.run_every.total_seconds() + 1:
                entry.reschedule()

    def maybe_due(self, entry: Any, **options: Any) -> float:
        """Send an entry that is due, then note that it ran: a failed sending is repeated."""
        is_due, wait_s = entry.is_due()
        if is_due:
            _logger.info("Scheduler: Sending due task %s (%s)", entry.name, entry.task)
            self.apply_async(entry, advance=False, **options)
            self.reserve(entry)
        return float(wait_s)

    def _ensure_connected(self) -> Any:
        # Celery waits 2, 4 and up to 30 s between attempts; the next tick is another attempt.
        return self.connection.ensure_connection(max_retries=1, interval_start=0.2)

    def close(self) -> None:
        """Release the lock, so that another scheduler follows at its next tick."""
        with suppress(*_FAULTS):
            if self._holds and self._client.get(self._key) == self._owner.encode():
                self._client.delete(self._key)
        self._holds = False
        with suppress(*_FAULTS):
            super().close()
