"""The blocking client: call it like a function, get a report for every portfolio."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload

import pyarrow as pa

from risk_tasks.client.answers import Reports, Tables, TableShape
from risk_tasks.client.breach_stream import ChangeReader, Changes
from risk_tasks.client.check_ids import CheckId
from risk_tasks.client.connection import Link
from risk_tasks.client.lookup import (
    Asked,
    names_live,
    no_version,
    read_asked,
    read_ids,
    with_left_out,
)
from risk_tasks.client.options import (
    CallTerms,
    CheckOptions,
    read_call,
    read_timeout,
    require_published,
    require_request,
)
from risk_tasks.client.partitioning import by_limit_set
from risk_tasks.client.replies import await_results
from risk_tasks.client.table_input import as_table, read_tables
from risk_tasks.connection import masked
from risk_tasks.errors import (
    InvalidLimitError,
    InvalidMarketError,
    TransportError,
    missing_extras_named,
)
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.live import CriticalEvent, LiveReport
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport
from risk_tasks.store.breaches import NOW
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import Detail, pack_portfolios


class LiveCalls(ABC):
    """Live portfolios: held by the system, checked whenever they or the market change."""

    url: str
    _closed: bool

    def set_portfolio(self, portfolio: Portfolio, *, event_id: str | None = None) -> int:
        """Hold `portfolio` in place of whatever is held under its id; returns its new version.

        Positions are kept to the last bit; those of 0 are not held. An `event_id` that was seen
        within a day for this portfolio changes nothing, and returns the version that it made then.
        Repeat a call that raised `TransportError` with the same one: it may have arrived.
        """
        return self._link().live.set(portfolio, event_id)

    def change_positions(
        self, portfolio_id: str, deltas: Mapping[str, float], *, event_id: str | None = None
    ) -> int:
        """Add `deltas`, units by instrument, to the positions in one step; returns the new version.

        Sums are those of float64 in the order of the calls; a position that becomes 0 is held no
        longer. `event_id` as for `set_portfolio`.

        Raises `UnknownPortfolioError`, and `InvalidPortfolioError` naming the delta that is no
        finite number or whose sum is none; then nothing is changed.
        """
        return self._link().live.change(portfolio_id, deltas, event_id)

    def get_portfolio(self, portfolio_id: str) -> Portfolio:
        """Return the portfolio as it is now, with its `version`; else `UnknownPortfolioError`."""
        return self._link().live.get(portfolio_id)

    def remove_portfolio(self, portfolio_id: str) -> int:
        """Hold the portfolio no longer; its limits that are not ok become so.

        Returns its last version; raises `UnknownPortfolioError`.
        """
        return self._link().live.remove(portfolio_id)

    def report(self, portfolio_id: str) -> LiveReport | None:
        """Return the latest report of a live portfolio, None where none was made yet.

        Raises `UnknownPortfolioError`.
        """
        return self._link().live.report(portfolio_id)

    def critical_event(
        self,
        reason: str,
        portfolio_ids: Iterable[str] | None = None,
        *,
        event_id: str | None = None,
    ) -> CriticalEvent:
        """Have live portfolios, or all of them, checked at once in the critical lane.

        `reason`, of up to 256 characters, is in the next report of each portfolio and in the
        changes of state that this report causes. An `event_id` that was seen within a day changes
        nothing, and returns the same again. Returns how many portfolios are checked, and which ids
        are unknown.

        Raises `InvalidSettingsError` for a bad reason or event id, and `InvalidPortfolioError` for
        an empty list, more than 10,000 ids, or an id that is not a name.
        """
        return self._link().live.critical_event(reason, portfolio_ids, event_id)

    def breaches(
        self,
        since: str = NOW,
        *,
        group: str | None = None,
        reader: str | None = None,
        within_s: float | None = None,
    ) -> Changes:
        """Return an iterator over changes of state of limits, in order, as they come.

        `since` is the id of a change, `"0"` for all that are kept, `"$"` for those after this
        call. It goes on over lost connections without losing or repeating any, until the client is
        closed (noticed within half a second), or nothing came for `within_s`.

        Readers of a `group` share its changes: each goes to one `reader`, and is ended when that
        asks for the next. What a reader had for a minute and did not end goes to another, so that
        one may come twice, with the same `event_id`. A new group begins after `since`.

        Raises `TransportError` where the server cannot be reached at the beginning, or when
        `within_s` is over; `ChangesTrimmedError` where changes that were asked for are gone.
        """
        self._link()
        source = ChangeReader(
            self.url, since, group=group, reader=reader, is_closed=lambda: self._closed
        )
        return Changes(source, within_s)

    def _asked(self, portfolios: Iterable[Portfolio | str], min_version: int | None) -> Asked:
        return read_asked(portfolios, min_version, self._held)

    def _held(self, portfolio_ids: Sequence[str]) -> Sequence[Portfolio | None]:
        return self._link().live.get_many(portfolio_ids)

    @abstractmethod
    def _link(self) -> Link:
        """Return the link of this process."""


class RiskClient(LiveCalls):
    """Checks portfolios on the workers behind one broker.

    ::

        with RiskClient("redis://localhost:6379/0") as risk:
            report = risk.check(Portfolio("desk-1", {"AAPL": 100}))

    Safe to share between threads and to inherit across a fork. Small calls of several threads share
    messages where their terms are the same, and wait a few milliseconds for each other at most;
    each keeps its own rows, errors and time-out. Nothing is sent before the first call. The keyword
    arguments that all checks share are those of `CheckOptions`. `client_name` is what a quota on
    the critical lane is kept under.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0, client_name: str = "") -> None:
        self.url = url
        self._client_name = client_name
        self._timeout_s = timeout_s
        self._links: dict[int, Link] = {}
        self._closed = False

    @classmethod
    def from_env(cls) -> Self:
        """Return a client for what RISK_TASKS_BROKER_URL and RISK_TASKS_TIMEOUT_S say.

        Raises `MissingExtraError` where the extra `cli`, which reads settings, is not installed.
        """
        with missing_extras_named():
            from risk_tasks.settings import Settings

        settings = Settings.read()
        return cls(settings.broker_url.get_secret_value(), timeout_s=settings.timeout_s)

    def publish_market(self, snapshot: MarketSnapshot, name: str = DEFAULT_NAME) -> str:
        """Make `snapshot` the market of later checks; returns its id."""
        require_published(snapshot, MarketSnapshot, InvalidMarketError, name)
        return self._link().markets.publish(snapshot, name)

    def load_market(self, market: str = DEFAULT_NAME) -> MarketSnapshot | None:
        """Return the market of this name or id, or None where none is published."""
        store = self._link().markets
        return store.load(store.current().get(market, market))

    def publish_prices(
        self, prices: Mapping[str, float], *, as_of: datetime, name: str = DEFAULT_NAME
    ) -> str:
        """Put new marks, one for each instrument, on the same return panel; returns the new id."""
        return self._link().markets.publish_prices(prices, name, as_of)

    def publish_limits(self, limit_set: LimitSet, name: str = DEFAULT_NAME) -> str:
        """Make `limit_set` the one that later checks are held against; returns its version."""
        require_published(limit_set, LimitSet, InvalidLimitError, name)
        return self._link().limits.publish(limit_set, name)

    def check(
        self,
        portfolio: Portfolio | str,
        *,
        min_version: int | None = None,
        explain: bool = False,
        **options: Unpack[CheckOptions],
    ) -> RiskReport:
        """Return the report of one portfolio; with `explain`, how much room its limits leave.

        `portfolio` may be the id of a live one, of `min_version` or later.

        Raises `RequestError` naming the field of a bad request, `TransportError` where the broker
        is down, `QueueFullError` where the lane is, and `ReportTimeoutError` past the time-out.
        """
        asked = [portfolio]
        found = self.check_many(asked, min_version=min_version, explain=explain, **options)
        return require_request(found[0])

    def check_many(
        self,
        portfolios: Iterable[Portfolio | str],
        *,
        min_version: int | None = None,
        explain: bool = False,
        **options: Unpack[CheckOptions],
    ) -> list[RiskReport]:
        """Return one report for each portfolio, or id of a live one, in their order.

        A portfolio that cannot be computed has a report with status `error` and decision
        `reject`; the others are answered. Raises as `check` does where no report can be had.
        """
        asked = self._asked(portfolios, min_version)
        listed = asked.portfolios
        call = read_call(Detail.of_reports(explain), self._timeout_s, **options)
        n_positions = sum(len(portfolio.positions) for portfolio in listed)
        with self._link().sharing.preparing(n_positions) as calling:
            parts = [(pack_portfolios(listed, call.terms), call.stamp)]
            return asked.merge(calling.ask(parts, call, Reports.of).found)

    @overload
    def check_table(
        self,
        positions: Any,
        *,
        portfolios: Any | None = None,
        min_version: int | None = None,
        return_breaches: Literal[True],
        **options: Unpack[CheckOptions],
    ) -> tuple[pa.Table, pa.Table]: ...

    @overload
    def check_table(
        self,
        positions: Any,
        *,
        portfolios: Any | None = None,
        min_version: int | None = None,
        return_breaches: Literal[False] = False,
        **options: Unpack[CheckOptions],
    ) -> pa.Table: ...

    def check_table(
        self,
        positions: Any,
        *,
        portfolios: Any | None = None,
        min_version: int | None = None,
        return_breaches: bool = False,
        **options: Unpack[CheckOptions],
    ) -> pa.Table | tuple[pa.Table, pa.Table]:
        """Return a table with a row per portfolio, in order of first appearance.

        `positions` is any table that speaks Arrow (pyarrow, polars, pandas, DuckDB) with the
        columns portfolio_id, instrument and quantity; `portfolios` is one with portfolio_id and,
        where known, cash, nav, limit_set and tags. The answer has portfolio_id, a column per
        measure (null unless its status is ok), status, decision, breach_count and code. With
        `return_breaches` a second table has a row per breach.

        A table of portfolio_id alone asks for live portfolios, of `min_version` or later; one that
        is not there has a row of status `error` and decision `reject`.

        Raises `InvalidTableError` for a table without these columns, else as `check_many`.
        """
        detail = Detail.BREACHES if return_breaches else Detail.SUMMARY
        call = read_call(detail, self._timeout_s, **options)
        table = as_table(positions, "positions")
        shape = Tables.shape(call.terms.measures, with_breaches=return_breaches)
        if names_live(table):
            asked = self._asked(read_ids(table, portfolios), min_version)
            tables = self._check_live(asked, call, shape)
        elif min_version is not None:
            raise no_version()
        else:
            tables = self._check_positions(table, portfolios, call, shape)
        return tables.found if tables.breaches is None else (tables.found, tables.breaches)

    def submit(
        self,
        portfolios: Iterable[Portfolio | str],
        *,
        min_version: int | None = None,
        explain: bool = False,
        **options: Unpack[CheckOptions],
    ) -> Handle:
        """Send checks without waiting; `timeout_s` is the deadline by which they are started.

        The answers are kept for fifteen minutes, for `Handle.result` here or `result` anywhere.
        Ids of live portfolios are looked up now; raises `UnknownPortfolioError` for one that is
        none, and `StaleVersionError` for one before `min_version`.
        """
        listed = self._asked(portfolios, min_version).require_all()
        call = read_call(Detail.of_reports(explain), self._timeout_s, **options)
        parts = [(pack_portfolios(listed, call.terms), call.stamp)]
        return Handle(str(self._link().submit(parts, call)), self)

    def result(self, check_id: str, *, timeout_s: float | None = None) -> list[RiskReport]:
        """Return the reports of a submitted call, waiting for them up to `timeout_s`.

        `check_id` is a handle's, or that of a `ReportTimeoutError`. Raises `ReportTimeoutError`
        where they are still missing, `UnknownCheckError` where nothing of this id is kept, and
        `DeadLetterError` where it was given up.
        """
        wait_s = read_timeout(self._timeout_s if timeout_s is None else timeout_s)
        asked = CheckId.parse(check_id)
        answers = await_results(self._link().results, asked, wait_s)
        names = [name for answer in answers for name in answer.portfolio_ids]
        return reports(names, answers)[asked.own]

    def close(self) -> None:
        """End the connections; waiting calls get a `TransportError`."""
        self._closed = True
        link = self._links.pop(os.getpid(), None)
        if link is not None:
            link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RiskClient({masked(self.url)!r}, timeout_s={self._timeout_s:g})"

    def _check_positions(
        self, table: pa.Table, portfolios: Any | None, call: CallTerms, shape: TableShape
    ) -> Tables:
        link = self._link()
        with link.sharing.preparing(len(table)) as calling:
            with link.turns.of(len(table)):
                request, limit_sets = read_tables(table, portfolios, call.terms)
                parts, order = by_limit_set(request, limit_sets, call.stamp)
            tables = calling.ask(parts, call, shape)
        found = tables.found.take(pa.array(order)) if len(parts) > 1 else tables.found
        return replace(tables, found=found)

    def _check_live(self, asked: Asked, call: CallTerms, shape: TableShape) -> Tables:
        n_positions = sum(len(portfolio.positions) for portfolio in asked.portfolios)
        with self._link().sharing.preparing(n_positions) as calling:
            parts = [(pack_portfolios(asked.portfolios, call.terms), call.stamp)]
            tables = calling.ask(parts, call, shape)
        return replace(tables, found=with_left_out(tables.found, asked.left_out))

    def _link(self) -> Link:
        """Return this process's own link: after a fork there is none yet.

        No lock, which a fork could inherit locked: a link that loses the race has opened nothing.
        """
        if self._closed:
            raise TransportError("The client is closed.", remedy="Make a new one.")
        link = self._links.get(os.getpid())
        return link or self._links.setdefault(os.getpid(), Link(self.url, self._client_name))


@dataclass(frozen=True, slots=True)
class Handle:
    """A call that was submitted; `check_id` is good in any process."""

    check_id: str
    _client: RiskClient

    def result(self, *, timeout_s: float | None = None) -> list[RiskReport]:
        """Return the reports, as `RiskClient.result` does."""
        return self._client.result(self.check_id, timeout_s=timeout_s)
