"""What an autoscaler tells of itself, and which of several acts."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.errors import DecodeError
from risk_tasks.keys import AUTOSCALER_KEY, AUTOSCALER_LOCK_KEY, AUTOSCALER_TTL_S


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalerReport:
    """What it saw and wanted at its last look; None where it could not tell.

    `oldest_age_s`: of the block that waits longest. `work_s`: seconds that one thread would need
    for all that waits or runs. `busy_share`: of the workers that it scales. `last_change`: as
    `1 -> 2: backlog`.
    """

    name: str
    driver: str
    direction: str
    reason: str
    workers: int | None
    wanted: int | None
    min_workers: int
    max_workers: int
    oldest_age_s: float | None
    work_s: float | None
    busy_share: float | None
    last_change: str | None
    last_change_ago_s: float | None


class AutoscalerStore:
    """Writes the report, reads it, and holds the lock of the one that acts."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def take(self, name: str) -> bool:
        """Return whether `name` is the autoscaler that acts, for the next `AUTOSCALER_TTL_S`."""
        with transport_errors(self._client):
            if self._client.set(AUTOSCALER_LOCK_KEY, name, nx=True, ex=AUTOSCALER_TTL_S):
                return True
            holder = self._client.get(AUTOSCALER_LOCK_KEY)
            if holder is None or text(holder) != name:
                return False
            return bool(self._client.expire(AUTOSCALER_LOCK_KEY, AUTOSCALER_TTL_S))

    def give_back(self, name: str) -> None:
        """Let another act at once, and tell nothing any more, where `name` is the one that acts."""
        if self.take(name):
            with transport_errors(self._client):
                self._client.delete(AUTOSCALER_LOCK_KEY, AUTOSCALER_KEY)

    def write(self, report: AutoscalerReport) -> None:
        with transport_errors(self._client):
            self._client.set(AUTOSCALER_KEY, msgspec.json.encode(report), ex=AUTOSCALER_TTL_S)

    def read(self) -> AutoscalerReport | None:
        """Return the report; None where no autoscaler runs. Raises `DecodeError`."""
        with transport_errors(self._client):
            data = self._client.get(AUTOSCALER_KEY)
        if data is None:
            return None
        try:
            return msgspec.json.decode(data, type=AutoscalerReport)
        except msgspec.MsgspecError as error:
            raise DecodeError(f"What the autoscaler tells cannot be read: {error}.") from error
