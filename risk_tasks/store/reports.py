"""The latest reports of live portfolios."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from risk_tasks.connection import transport_errors
from risk_tasks.lanes import live_portfolio_key, live_report_key
from risk_tasks.store.portfolios import unknown


@dataclass(frozen=True, slots=True)
class HeldReport:
    """A latest report as JSON, the version that it is of, and how old it is."""

    document: bytes
    version: int
    current_version: int
    age_s: float


class ReportStore:
    """Reads what `RecomputingStore.record` kept."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def latest(self, portfolio_id: str) -> HeldReport | None:
        """Return the latest report, None where none was made yet.

        Raises `UnknownPortfolioError`.
        """
        with transport_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.hmget(live_portfolio_key(portfolio_id), "version", "reported", "reported_ms")
            pipe.get(live_report_key(portfolio_id))
            (seconds, micros), (current, version, at_ms), document = pipe.execute()
        if current is None:
            raise unknown(portfolio_id)
        if document is None or version is None:
            return None
        age_s = max(0.0, seconds + micros / 1e6 - int(at_ms) / 1e3)
        return HeldReport(document, int(version), int(current), age_s)
