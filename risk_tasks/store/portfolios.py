"""Live portfolios and their latest reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec
import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.errors import InvalidPortfolioError, UnknownPortfolioError
from risk_tasks.keys import (
    BREACHES_KEY,
    LIVE_EVENT_TTL_S,
    LIVE_KEY,
    MAX_BREACHES,
    live_event_key,
    live_portfolio_key,
    live_positions_key,
    live_report_key,
    live_states_key,
)
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.scripts import Script

#: read in one transaction, which others wait for
_AT_ONCE = 200


class Attributes(msgspec.Struct, omit_defaults=True):
    """What is held of a portfolio besides its positions."""

    cash: float | None = None
    nav: float | None = None
    tags: dict[str, str] = {}


class PortfolioStore:
    """Sets, changes and reads live portfolios; safe to share between threads.

    Whatever changes one marks it dirty in the same step, so that it is computed though every
    message about it is lost.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._set = Script(client, "risk_tasks.store", "live", "set")
        self._change = Script(client, "risk_tasks.store", "live", "change")
        self._remove = Script(client, "risk_tasks.store", "live", "remove")

    def set(self, portfolio: Portfolio, event_id: str | None = None) -> int:
        """Hold `portfolio` in place of whatever is held under its id; returns the new version.

        An event that was seen within a day changes nothing, and returns the version that it made.
        Positions of 0 are not held.
        """
        about = Attributes(portfolio.cash, portfolio.nav, dict(portfolio.tags))
        with transport_errors(self._client):
            version = self._set(
                keys=_keys(portfolio.id, event_id),
                args=[
                    portfolio.id,
                    LIVE_EVENT_TTL_S,
                    msgspec.json.encode(about),
                    *_words(portfolio.positions, zeros=False),
                ],
            )
        return int(version)

    def change(
        self, portfolio_id: str, deltas: Mapping[str, float], event_id: str | None = None
    ) -> int:
        """Add `deltas` to the positions, as float64, in the order of the calls.

        Returns the new version; an event that was seen within a day changes nothing, and returns
        the version that it made. A position that becomes 0 is held no longer.

        Raises `UnknownPortfolioError`, or `InvalidPortfolioError` where a sum is beyond float64;
        then nothing is changed.
        """
        with transport_errors(self._client):
            outcome, *rest = self._change(
                keys=_keys(portfolio_id, event_id),
                args=[portfolio_id, LIVE_EVENT_TTL_S, *_words(deltas)],
            )
        match text(outcome):
            case "unknown":
                raise unknown(portfolio_id)
            case "overflow":
                raise InvalidPortfolioError(
                    "The position would be beyond what a float64 holds.",
                    field=f"deltas[{text(rest[0])!r}]",
                )
        return int(rest[0])

    def get(self, portfolio_id: str) -> Portfolio:
        """Return the portfolio as it is now, with its version; positions by name of instrument.

        Raises `UnknownPortfolioError`.
        """
        (found,) = self.get_many([portfolio_id])
        if found is None:
            raise unknown(portfolio_id)
        return found

    def get_many(self, portfolio_ids: Sequence[str]) -> list[Portfolio | None]:
        """Return them in their order, None for one that nobody set."""
        return [
            portfolio
            for start in range(0, len(portfolio_ids), _AT_ONCE)
            for portfolio in self._get(portfolio_ids[start : start + _AT_ONCE])
        ]

    def _get(self, portfolio_ids: Sequence[str]) -> list[Portfolio | None]:
        # In one transaction: version and positions of a portfolio belong together.
        with transport_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            for portfolio_id in portfolio_ids:
                pipe.hmget(live_portfolio_key(portfolio_id), "version", "attributes")
                pipe.hgetall(live_positions_key(portfolio_id))
            replies = pipe.execute()
        return [
            None if version is None else portfolio_of(portfolio_id, int(version), about, held)
            for portfolio_id, (version, about), held in zip(
                portfolio_ids, replies[::2], replies[1::2], strict=True
            )
        ]

    def remove(self, portfolio_id: str, event_id: str | None = None) -> int:
        """Forget the portfolio; its limits that are not ok become so. Returns its last version.

        An event that was seen within a day changes nothing, and returns the same.
        Raises `UnknownPortfolioError`.
        """
        with transport_errors(self._client):
            version = self._remove(
                keys=[
                    *_keys(portfolio_id, None),
                    live_report_key(portfolio_id),
                    live_states_key(portfolio_id),
                    BREACHES_KEY,
                    *([] if event_id is None else [live_event_key(portfolio_id, event_id)]),
                ],
                args=[portfolio_id, MAX_BREACHES, LIVE_EVENT_TTL_S],
            )
        if version is None:
            raise unknown(portfolio_id)
        return int(version)

    def ids(self) -> list[str]:
        """Return the ids of all that are held, in their order."""
        with transport_errors(self._client):
            held = cast("list[bytes]", self._client.zrange(LIVE_KEY, 0, -1))
        return sorted(map(text, held))


def unknown(portfolio_id: str) -> UnknownPortfolioError:
    return UnknownPortfolioError(f"No live portfolio {portfolio_id!r}.", field="portfolio_id")


def portfolio_of(
    portfolio_id: str, version: int, about: bytes, held: Mapping[bytes, bytes]
) -> Portfolio:
    """Return what the server holds; positions in the order of their names, which fixes its bits."""
    attributes = msgspec.json.decode(about, type=Attributes)
    return Portfolio(
        portfolio_id,
        {text(name): float(held[name]) for name in sorted(held)},
        cash=attributes.cash,
        nav=attributes.nav,
        tags=attributes.tags,
        version=version,
    )


def _keys(portfolio_id: str, event_id: str | None) -> list[str]:
    keys = [live_portfolio_key(portfolio_id), live_positions_key(portfolio_id)]
    return keys if event_id is None else [*keys, live_event_key(portfolio_id, event_id)]


def _words(numbers: Mapping[str, float], *, zeros: bool = True) -> list[str]:
    """Return names and numbers in turn; 17 digits are every bit of a float64."""
    return [
        word
        for name, number in numbers.items()
        if zeros or number != 0
        for word in (name, f"{number:.17g}")
    ]


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
