"""The latest reports of live portfolios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.keys import live_portfolio_key, live_report_key, live_states_key
from risk_tasks.store.portfolios import unknown


@dataclass(frozen=True, slots=True)
class HeldReport:
    """A latest report as JSON, the version that it is of, and how old it is."""

    document: bytes
    version: int
    current_version: int
    age_s: float


@dataclass(frozen=True, slots=True)
class LiveSummary:
    """What is held of one portfolio, and how it stands to its limits."""

    portfolio_id: str
    version: int
    #: that its latest report is of, None where none was made yet
    reported: int | None
    age_s: float | None
    #: limits by state, those that are ok left out
    states: Mapping[str, str]


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

    def summaries(self, portfolio_ids: Sequence[str]) -> list[LiveSummary]:
        """Return those of `portfolio_ids` that are held, in their order."""
        with transport_errors(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            for one in portfolio_ids:
                pipe.hmget(live_portfolio_key(one), "version", "reported", "reported_ms")
                pipe.hgetall(live_states_key(one))
            (seconds, micros), *replies = pipe.execute()
        now_s = seconds + micros / 1e6
        return [
            LiveSummary(
                one,
                int(version),
                None if reported is None else int(reported),
                None if at_ms is None else max(0.0, now_s - int(at_ms) / 1e3),
                {text(limit): text(state) for limit, state in sorted(states.items())},
            )
            for one, (version, reported, at_ms), states in zip(
                portfolio_ids, replies[::2], replies[1::2], strict=True
            )
            if version is not None
        ]
