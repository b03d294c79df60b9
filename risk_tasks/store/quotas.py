"""Quotas on the critical lane, by the name that a client gives itself."""

from __future__ import annotations

import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.keys import QUOTAS_KEY


class QuotaStore:
    """Checks a second that a client may send to the critical lane; none is no bound."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def set(self, name: str, checks_per_s: int) -> None:
        with transport_errors(self._client):
            self._client.hset(QUOTAS_KEY, name, checks_per_s)

    def remove(self, name: str) -> None:
        with transport_errors(self._client):
            self._client.hdel(QUOTAS_KEY, name)

    def all(self) -> dict[str, int]:
        with transport_errors(self._client):
            quotas = self._client.hgetall(QUOTAS_KEY)
        return {text(name): int(checks_per_s) for name, checks_per_s in quotas.items()}
