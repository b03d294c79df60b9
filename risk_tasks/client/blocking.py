"""The blocking client: call it like a function, get a report for every portfolio."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload

import pyarrow as pa

from risk_tasks.client.answers import Decode, Result, Tables, decode_reports, decode_tables
from risk_tasks.client.breach_stream import LimitChangeReader, LimitChanges
from risk_tasks.client.check_ids import CheckId
from risk_tasks.client.coalescing import ThreadCoalescer
from risk_tasks.client.connection import Connection
from risk_tasks.client.lookup import (
    FoundPortfolios,
    find_portfolios,
    has_ids_only,
    not_live,
    read_ids,
)
from risk_tasks.client.options import (
    CallOptions,
    CheckOptions,
    read_options,
    read_replicas,
    read_timeout,
    require_computed,
    require_published,
)
from risk_tasks.client.replies import await_results, closed_error
from risk_tasks.client.table_input import as_table, read_tables
from risk_tasks.errors import (
    InvalidLimitError,
    InvalidMarketError,
    InvalidPortfolioError,
    UnknownCheckError,
    missing_extras_named,
)
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.live import CriticalEvent, LiveReport
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport
from risk_tasks.server_url import masked
from risk_tasks.store.breaches import NOW
from risk_tasks.store.portfolios import CallId
from risk_tasks.wire.documents import (
    read_deltas,
    read_event_id,
    read_event_portfolios,
    read_portfolio_id,
    read_reason,
)
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import Detail, RequestBlock, pack_portfolios


class RiskClient:
    """Checks portfolios on the workers behind one broker.

    ::

        with RiskClient("redis://localhost:6379/0") as risk:
            report = risk.check(Portfolio("desk-1", {"AAPL": 100}))

    Safe to share between threads and to inherit across a fork. Small calls of several threads with
    the same options share messages, for which a call waits a few milliseconds at most; each keeps
    its own rows, errors and timeout. Nothing is sent before the first call. The keyword arguments
    of all checks are those of `CheckOptions`. `client_name` is the name of the client's quota in
    the critical lane.

    `replicas_required` is the number of replicas that confirm a write before its call returns;
    with fewer the call raises `NotReplicatedError`. From 1 on, what was accepted survives a
    failover. With a `sentinel://` URL calls are repeated on the new primary, within their timeout.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 5.0,
        client_name: str = "",
        replicas_required: int = 0,
    ) -> None:
        self.url = url
        self._replicas_required = read_replicas(replicas_required)
        self._client_name = client_name
        self._timeout_s = timeout_s
        #: one for each process: a fork inherits those of its parent and makes its own
        self._coalescers: dict[int, ThreadCoalescer] = {}
        self._closed = False

    @classmethod
    def from_env(cls) -> Self:
        """Return a client with the broker URL, timeout and replicas of the settings.

        Raises `MissingExtraError` if the extra `cli`, which reads settings, is not installed.
        """
        with missing_extras_named():
            from risk_tasks.settings import Settings

        settings = Settings.read()
        return cls(
            settings.broker_url.get_secret_value(),
            timeout_s=settings.timeout_s,
            replicas_required=settings.replicas_required,
        )

    def publish_market(
        self, snapshot: MarketSnapshot, name: str = DEFAULT_NAME, *, strict: bool = False
    ) -> str:
        """Make `snapshot` the market of later checks; returns its id.

        The market is screened for prices that look wrong. What is found is stored with it:
        `load_market(name).findings`. Raises `DoubtfulMarketError` for a `strict` market with a
        finding other than a short history.
        """
        require_published(snapshot, MarketSnapshot, InvalidMarketError, name)
        return self._connection.markets.publish(snapshot, name, strict=strict)

    def load_market(self, market: str = DEFAULT_NAME) -> MarketSnapshot | None:
        """Return the market of this name or id, None if it is not published."""
        store = self._connection.markets
        return store.load(store.current().get(market, market))

    def publish_prices(
        self,
        prices: Mapping[str, float],
        *,
        as_of: datetime,
        name: str = DEFAULT_NAME,
        strict: bool = False,
    ) -> str:
        """Put new marks, one for each instrument, on the same return panel; returns the new id.

        The marks are screened, and compared with the prices that they replace. Raises
        `DoubtfulMarketError` for a `strict` market with a finding other than a short history.
        """
        return self._connection.markets.publish_prices(prices, name, as_of, strict=strict)

    def publish_limits(
        self, limit_set: LimitSet, name: str = DEFAULT_NAME, *, tags: Iterable[str] = ()
    ) -> str:
        """Make `limit_set` the limit set of later checks; returns its version.

        Raises `InvalidLimitError` for a limit whose `applies_to` selects instruments: their ids or
        tags in the default market. `tags` are names that portfolios carry too.
        """
        require_published(limit_set, LimitSet, InvalidLimitError, name)
        has_scopes = any(limit.applies_to for limit in limit_set.limits)
        market = self.load_market() if has_scopes else None
        if market is not None:
            carried = {tag for of_one in market.tags.values() for tag in of_one}
            limit_set.require_scopes_of_portfolios(market.index, carried, frozenset(tags))
        return self._connection.limits.publish(limit_set, name)

    def check(
        self,
        portfolio: Portfolio | str,
        *,
        min_version: int | None = None,
        explain: bool = False,
        **options: Unpack[CheckOptions],
    ) -> RiskReport:
        """Return the report of one portfolio; with `explain`, also the headroom of its limits.

        `portfolio` may be the id of a live portfolio, of `min_version` or later.

        Raises `RequestError` naming the field of a bad request, `TransportError` if the broker
        cannot be reached, `QueueFullError` if the lane is full, and `ReportTimeoutError` at the
        timeout.
        """
        found = self.check_many([portfolio], min_version=min_version, explain=explain, **options)
        return require_computed(found[0])

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
        `reject`; the others are answered. Raises as `check` does if no answer arrives.
        """
        found = self._find(portfolios, min_version)
        call = read_options(Detail.of_reports(explain), self._timeout_s, **options)
        return found.merge_reports(self._check(found, call, decode_reports))

    @overload
    def check_table(
        self,
        positions: Any,
        *,
        portfolios: Any | None = None,
        tags: Iterable[str] = (),
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
        tags: Iterable[str] = (),
        min_version: int | None = None,
        return_breaches: Literal[False] = False,
        **options: Unpack[CheckOptions],
    ) -> pa.Table: ...

    @overload
    def check_table(
        self,
        positions: Any,
        *,
        portfolios: Any | None = None,
        tags: Iterable[str] = (),
        min_version: int | None = None,
        return_breaches: bool,
        **options: Unpack[CheckOptions],
    ) -> pa.Table | tuple[pa.Table, pa.Table]: ...

    def check_table(
        self,
        positions: Any,
        *,
        portfolios: Any | None = None,
        tags: Iterable[str] = (),
        min_version: int | None = None,
        return_breaches: bool = False,
        **options: Unpack[CheckOptions],
    ) -> pa.Table | tuple[pa.Table, pa.Table]:
        """Return a table with a row per portfolio, in order of first appearance.

        `positions` is any table with the Arrow interface (pyarrow, polars, pandas, DuckDB) with the
        columns portfolio_id, instrument and quantity. Cash, nav, limit_set and tags are in it,
        the same on all rows of a portfolio, or in `portfolios`, an optional table with
        portfolio_id. A column whose name looks like an amount is refused unless `tags` names it.
        The answer has portfolio_id, a column per measure (null unless its status is ok), status,
        decision, breach_count, code, limits_applied, n_observations, window_status and
        data_quality. With `return_breaches` a second table has a row per breach.

        A table of portfolio_id alone checks live portfolios, of `min_version` or later; an id that
        is not held has a row with status `error` and decision `reject`.

        Raises `InvalidTableError` for a table without these columns, otherwise as `check_many`.
        """
        detail = Detail.BREACHES if return_breaches else Detail.SUMMARY
        call = read_options(detail, self._timeout_s, **options)
        table = as_table(positions, "positions")
        decode = decode_tables(call.terms.measures, with_breaches=return_breaches)
        if has_ids_only(table):
            found = self._find(read_ids(table, portfolios), min_version)
            tables = self._check(found, call, decode)
            tables = Tables(found.merge_rows(tables.portfolios), tables.breaches)
        elif min_version is not None:
            raise not_live()
        else:
            coalescer = self._coalescer()

            def prepare() -> tuple[RequestBlock, pa.StringArray | None]:
                with coalescer.connection.cpu_lock(len(table)):
                    return read_tables(table, portfolios, call.terms, tags=tags)

            tables = coalescer.request(prepare, call, decode, len(table))
        return (
            tables.portfolios if tables.breaches is None else (tables.portfolios, tables.breaches)
        )

    def submit(
        self,
        portfolios: Iterable[Portfolio | str],
        *,
        min_version: int | None = None,
        explain: bool = False,
        **options: Unpack[CheckOptions],
    ) -> Handle:
        """Send checks without waiting; a check that is not started in `timeout_s` never is.

        The answers are kept for fifteen minutes, for `Handle.result` here or `result` anywhere.
        Ids of live portfolios are looked up now; raises `UnknownPortfolioError` for an id that is
        not held, and `StaleVersionError` for a version before `min_version`.
        """
        found = self._find(portfolios, min_version).require_all()
        call = read_options(Detail.of_reports(explain), self._timeout_s, **options)
        check_id = self._connection.submit(pack_portfolios(found, call.terms), call)
        return Handle(str(check_id), self)

    def result(self, check_id: str, *, timeout_s: float | None = None) -> list[RiskReport]:
        """Return the reports of a submitted call, waiting for them up to `timeout_s`.

        `check_id` is that of a handle or of a `ReportTimeoutError`. Raises `ReportTimeoutError`
        if answers are missing then, `UnknownCheckError` if nothing is stored under this id, and
        `DeadLetterError` if the call became a dead letter.
        """
        wait_s = read_timeout(self._timeout_s if timeout_s is None else timeout_s)
        call = CheckId.parse(check_id)
        answers = await_results(self._connection.results, call, wait_s)
        ids = [portfolio_id for answer in answers for portfolio_id in answer.portfolio_ids]
        start, stop = call.rows or (0, len(ids))
        if stop > len(ids):
            raise UnknownCheckError(
                f"Check {check_id} has {len(ids)} rows, not {stop}.", field="check_id"
            )
        return reports(ids, answers)[start:stop]

    def set_portfolio(self, portfolio: Portfolio, *, event_id: str | None = None) -> int:
        """Hold `portfolio` as a live portfolio; it replaces any other of its id.

        Returns its new version. Positions are kept to the last bit; those of 0 are not held. An
        `event_id` that was used for this portfolio within a day changes nothing, and returns the
        version that it made then. After a `TransportError`, repeat the call with the same
        `event_id`: it may have arrived.
        """
        if not isinstance(portfolio, Portfolio):
            raise InvalidPortfolioError(
                f"{type(portfolio).__name__} is not a Portfolio.", field="portfolio"
            )
        return self._connection.portfolios.set(portfolio, _read_event_id(event_id))

    def change_positions(
        self, portfolio_id: str, deltas: Mapping[str, float], *, event_id: str | None = None
    ) -> int:
        """Add `deltas`, units by instrument, to the positions in one step; returns the new version.

        Sums are those of float64 in the order of the calls; a position that becomes 0 is no longer
        held. `event_id` as for `set_portfolio`.

        Raises `UnknownPortfolioError`, and `InvalidPortfolioError` naming a delta that is not a
        finite number or whose sum is not; then nothing is changed.
        """
        return self._connection.portfolios.change(
            read_portfolio_id(portfolio_id), read_deltas(deltas), _read_event_id(event_id)
        )

    def get_portfolio(self, portfolio_id: str) -> Portfolio:
        """Return the live portfolio with its `version`; raises `UnknownPortfolioError`."""
        return self._connection.portfolios.get(read_portfolio_id(portfolio_id))

    def remove_portfolio(self, portfolio_id: str) -> int:
        """Stop holding the portfolio; the state of each of its limits becomes none.

        Returns its last version; raises `UnknownPortfolioError`.
        """
        return self._connection.portfolios.remove(read_portfolio_id(portfolio_id), CallId.new())

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
        return self._connection.portfolios.critical_event(
            read_reason(reason), read_event_portfolios(portfolio_ids), _read_event_id(event_id)
        )

    def report(self, portfolio_id: str) -> LiveReport | None:
        """Return the latest report of a live portfolio, None before its first.

        Raises `UnknownPortfolioError`.
        """
        return self._connection.portfolios.report(read_portfolio_id(portfolio_id))

    def breaches(
        self,
        since: str = NOW,
        *,
        group: str | None = None,
        reader: str | None = None,
        idle_timeout_s: float | None = None,
    ) -> LimitChanges:
        """Return an iterator over changes of state of limits, in order; it waits for new ones.

        `since` is the id of a change, `"0"` for all that are kept, `"$"` for those after this call.
        It continues over lost connections without losing or repeating a change. It ends when the
        client is closed (within half a second) or when nothing came for `idle_timeout_s`.

        Readers of a `group` share its changes: each change goes to one `reader`, and is
        acknowledged when that reader takes the next one. A change that is not acknowledged within a
        minute goes to another reader, so that a change may be delivered twice, with the same
        `event_id`. A new group starts after `since`.

        Raises `TransportError` if the server cannot be reached at the start, or when
        `idle_timeout_s` ends, and `ChangesTrimmedError` if changes were deleted before they were
        read.
        """
        self._coalescer()
        source = LimitChangeReader(
            self.url, since, group=group, reader=reader, is_client_closed=lambda: self._closed
        )
        return LimitChanges(source, idle_timeout_s)

    def close(self) -> None:
        """End the connections; waiting calls get a `TransportError`."""
        self._closed = True
        coalescer = self._coalescers.pop(os.getpid(), None)
        if coalescer is not None:
            coalescer.connection.close()
            coalescer.close()

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

    def _check(self, found: FoundPortfolios, call: CallOptions, decode: Decode[Result]) -> Result:
        def prepare() -> tuple[RequestBlock, None]:
            return pack_portfolios(found.portfolios, call.terms), None

        return self._coalescer().request(prepare, call, decode, found.n_positions)

    def _find(
        self, portfolios: Iterable[Portfolio | str], min_version: int | None
    ) -> FoundPortfolios:
        return find_portfolios(portfolios, min_version, self._load)

    def _load(self, portfolio_ids: Sequence[str]) -> Sequence[Portfolio | None]:
        return self._connection.portfolios.get_many(portfolio_ids)

    @property
    def _connection(self) -> Connection:
        return self._coalescer().connection

    def _coalescer(self) -> ThreadCoalescer:
        """Return that of this process, with its connections; raises `TransportError` once closed.

        It takes no lock: a fork could inherit it in the locked state. A second coalescer that is
        made at the same time has opened no connection, and is dropped.
        """
        if self._closed:
            raise closed_error()
        coalescer = self._coalescers.get(os.getpid())
        return coalescer or self._coalescers.setdefault(
            os.getpid(),
            ThreadCoalescer(
                Connection(
                    self.url,
                    self._client_name,
                    replicas_required=self._replicas_required,
                    timeout_s=self._timeout_s,
                )
            ),
        )


@dataclass(frozen=True, slots=True)
class Handle:
    """A submitted call; `check_id` is valid in every process."""

    check_id: str
    _client: RiskClient

    def result(self, *, timeout_s: float | None = None) -> list[RiskReport]:
        """Return the reports, as `RiskClient.result` does."""
        return self._client.result(self.check_id, timeout_s=timeout_s)


def _read_event_id(event_id: str | None) -> str:
    return CallId.new() if event_id is None else read_event_id(event_id, "")
