"""Quotas on the critical lane, by the quota name of a client."""

from __future__ import annotations

from risk_tasks.connection import Store, text
from risk_tasks.keys import QUOTAS_KEY
from risk_tasks.scripts import acknowledge


class QuotaStore(Store):
    """Checks per second that a client may send to the critical lane; unlimited without a quota."""

    def set(self, name: str, checks_per_s: int) -> None:
        acknowledge(self._client, "HSET", QUOTAS_KEY, name, checks_per_s)

    def remove(self, name: str) -> None:
        acknowledge(self._client, "HDEL", QUOTAS_KEY, name)

    def all(self) -> dict[str, int]:
        quotas = self._client.hgetall(QUOTAS_KEY)
        return {text(name): int(checks_per_s) for name, checks_per_s in quotas.items()}
