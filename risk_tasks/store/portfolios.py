"""Live portfolios and their latest reports."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec
import redis

from risk_tasks.connection import Store, text
from risk_tasks.errors import InvalidPortfolioError, UnknownPortfolioError
from risk_tasks.keys import (
    LIVE_CALL_TTL_S,
    LIVE_EVENT_TTL_S,
    LIVE_KEY,
    MAX_BREACHES,
    critical_event_key,
    live_portfolio_key,
    live_positions_key,
    live_report_key,
    live_states_key,
)
from risk_tasks.model.live import CriticalEvent, LiveReport
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.scripts import Script, in_chunks
from risk_tasks.server_clock import server_s
from risk_tasks.wire.documents import read_report
from risk_tasks.wire.framing import decoding

#: portfolios that one transaction or script handles, so that it does not block the server for long
_AT_ONCE = 200


class _Attributes(msgspec.Struct, omit_defaults=True):
    """Stored attributes of a portfolio."""

    cash: float | None = None
    nav: float | None = None
    tags: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class LiveSummary:
    """One live portfolio and its limits that are not ok, by state.

    `reported` is the version of its latest report and `age_s` the age: None until one is recorded.
    """

    portfolio_id: str
    version: int
    reported: int | None
    age_s: float | None
    states: Mapping[str, str]


class CallId(str):
    """The event id of one call for which the caller gave none: the call may be repeated."""

    __slots__ = ()

    @classmethod
    def new(cls) -> CallId:
        return cls(uuid.uuid4().hex)


class PortfolioStore(Store):
    """Sets, changes and reads live portfolios; safe to share between threads.

    Each change marks its portfolio dirty in the same step. So it is computed even if every message
    about it is lost. An event id that was seen within a day changes nothing; the call returns the
    version that the event made.
    """

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._set, self._change, self._remove, self._critical_event = (
            Script(client, "risk_tasks.store", "live", name, acknowledged=True)
            for name in ("set", "change", "remove", "critical_event")
        )

    def set(self, portfolio: Portfolio, event_id: str | None = None) -> int:
        """Store `portfolio`, which replaces the one with its id; returns the new version.

        Positions of 0 are left out.
        """
        attributes = _Attributes(portfolio.cash, portfolio.nav, dict(portfolio.tags))
        held = {name: number for name, number in portfolio.positions.items() if number != 0}
        document = msgspec.json.encode(attributes)
        args = [portfolio.id, *_event(event_id), document, *_pairs(held)]
        return int(self._set(args=args))

    def change(
        self, portfolio_id: str, deltas: Mapping[str, float], event_id: str | None = None
    ) -> int:
        """Add `deltas` to the positions, as float64, in the order of the calls.

        Returns the new version. A position that becomes 0 is removed.

        Raises `UnknownPortfolioError`, or `InvalidPortfolioError` if a sum exceeds float64; then
        nothing is changed.
        """
        outcome, *rest = self._change(args=[portfolio_id, *_event(event_id), *_pairs(deltas)])
        match text(outcome):
            case "unknown":
                raise unknown(portfolio_id)
            case "overflow":
                raise InvalidPortfolioError(
                    "The position would be beyond what a float64 holds.",
                    field=f"deltas[{text(rest[0])!r}]",
                )
        return int(rest[0])

    def remove(self, portfolio_id: str, event_id: str | None = None) -> int:
        """Remove the portfolio; returns its last version. Its limits that are not ok become none.

        Raises `UnknownPortfolioError`.
        """
        version = self._remove(args=[portfolio_id, event_id or "", LIVE_EVENT_TTL_S, MAX_BREACHES])
        if version is None:
            raise unknown(portfolio_id)
        return int(version)

    def critical_event(
        self,
        reason: str,
        portfolio_ids: Sequence[str] | None = None,
        event_id: str | None = None,
    ) -> CriticalEvent:
        """Have live portfolios, or all for None, checked at once in the critical lane.

        The next report of each holds `reason`, and so do the changes of state that it causes.
        """
        key = None if event_id is None else critical_event_key(event_id)
        seen = None if key is None else self._client.get(key)
        if seen is not None:
            return msgspec.json.decode(cast("bytes", seen), type=CriticalEvent)
        ids = self.ids() if portfolio_ids is None else list(dict.fromkeys(portfolio_ids))
        event_id = event_id or uuid.uuid4().hex
        missing = [
            text(missing)
            for part in in_chunks(ids, _AT_ONCE)
            for missing in self._critical_event(args=[event_id, reason, *part])
        ]
        event = CriticalEvent(
            n_portfolios=len(ids) - len(missing),
            # A portfolio that was removed since `ids` is not an unknown id of the caller.
            unknown_ids=() if portfolio_ids is None else tuple(missing),
        )
        if key is not None:
            self._client.set(key, msgspec.json.encode(event), ex=_ttl_s(event_id))
        return event

    def get(self, portfolio_id: str) -> Portfolio:
        """Return the current portfolio with its version; positions in the order of their names.

        Raises `UnknownPortfolioError`.
        """
        (found,) = self.get_many([portfolio_id])
        if found is None:
            raise unknown(portfolio_id)
        return found

    def get_many(self, portfolio_ids: Sequence[str]) -> list[Portfolio | None]:
        """Return the portfolios in the order of their ids, None for an id that is not live."""
        return [found for part in in_chunks(portfolio_ids, _AT_ONCE) for found in self._get(part)]

    def _get(self, portfolio_ids: Sequence[str]) -> list[Portfolio | None]:
        # In one transaction, because the version and the positions of a portfolio belong together.
        with self._client.pipeline(transaction=True) as pipe:
            for portfolio_id in portfolio_ids:
                pipe.hmget(live_portfolio_key(portfolio_id), "version", "attributes")
                pipe.hgetall(live_positions_key(portfolio_id))
            replies = pipe.execute()
        return [
            None if version is None else portfolio_of(portfolio_id, int(version), attributes, held)
            for portfolio_id, (version, attributes), held in zip(
                portfolio_ids, replies[::2], replies[1::2], strict=True
            )
        ]

    def ids(self) -> list[str]:
        """Return the sorted ids of all live portfolios."""
        return sorted(map(text, cast("list[bytes]", self._client.zrange(LIVE_KEY, 0, -1))))

    def report(self, portfolio_id: str) -> LiveReport | None:
        """Return the latest report, None before the first one.

        Raises `UnknownPortfolioError`, and `DecodeError` for damaged content.
        """
        with self._client.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.hmget(
                live_portfolio_key(portfolio_id), "version", "reported", "reported_ms", "reason"
            )
            pipe.get(live_report_key(portfolio_id))
            time, (current, version, at_ms, reason), document = pipe.execute()
        if current is None:
            raise unknown(portfolio_id)
        if document is None or version is None:
            return None
        with decoding("report"):
            report = read_report(msgspec.json.decode(document))
        return LiveReport(
            report=report,
            version=int(version),
            current_version=int(current),
            age_s=max(0.0, server_s(time) - int(at_ms) / 1e3),
            reason=None if reason is None else text(reason),
        )

    def summaries(self, portfolio_ids: Sequence[str]) -> list[LiveSummary]:
        """Return summaries of those of `portfolio_ids` that are live, in their order."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            for one in portfolio_ids:
                pipe.hmget(live_portfolio_key(one), "version", "reported", "reported_ms")
                pipe.hgetall(live_states_key(one))
            time, *replies = pipe.execute()
        now_s = server_s(time)
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


def unknown(portfolio_id: str) -> UnknownPortfolioError:
    return UnknownPortfolioError(f"No live portfolio {portfolio_id!r}.", field="portfolio_id")


def portfolio_of(
    portfolio_id: str, version: int, document: bytes, held: Mapping[bytes, bytes]
) -> Portfolio:
    """Return the portfolio with these attributes, JSON, and quantities.

    Positions are in the order of their names, so that its results are the same to the bit.
    """
    attributes = msgspec.json.decode(document, type=_Attributes)
    return Portfolio(
        portfolio_id,
        {text(name): float(held[name]) for name in sorted(held)},
        cash=attributes.cash,
        nav=attributes.nav,
        tags=attributes.tags,
        version=version,
    )


def _event(event_id: str | None) -> tuple[str, int]:
    return event_id or "", _ttl_s(event_id)


def _ttl_s(event_id: str | None) -> int:
    return LIVE_CALL_TTL_S if isinstance(event_id, CallId) else LIVE_EVENT_TTL_S


def _pairs(numbers: Mapping[str, float]) -> list[str]:
    """Return alternating names and numbers; 17 digits hold every bit of a float64."""
    return [part for name, number in numbers.items() for part in (name, f"{number:.17g}")]
