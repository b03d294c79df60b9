"""The asyncio client: the same methods, awaitable; concurrent checks share blocks."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from risk_tasks.client.blocking import RiskClient
from risk_tasks.client.breach_stream import AsyncChanges, ChangeReader
from risk_tasks.client.coalescing import Coalescer, Company, SentCall
from risk_tasks.client.connection import Link
from risk_tasks.client.lookup import read_asked
from risk_tasks.client.options import (
    CallTerms,
    CheckOptions,
    KnownCalls,
    of_row,
    require_request,
    unanswered,
)
from risk_tasks.errors import TransportError
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.live import CriticalEvent, LiveReport
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport
from risk_tasks.store.breaches import NOW
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import pack_portfolios

Result = TypeVar("Result")


def _nothing(portfolio_ids: Sequence[str]) -> Sequence[Portfolio | None]:
    return [None] * len(portfolio_ids)


class AsyncLiveCalls(ABC):
    """Live portfolios: as in `LiveCalls`, awaitable."""

    _blocking: RiskClient
    _closed: bool

    async def set_portfolio(self, portfolio: Portfolio, *, event_id: str | None = None) -> int:
        """Hold `portfolio`, as `RiskClient.set_portfolio` does; returns its new version."""
        return await self._call(self._blocking.set_portfolio, portfolio, event_id=event_id)

    async def change_positions(
        self, portfolio_id: str, deltas: Mapping[str, float], *, event_id: str | None = None
    ) -> int:
        """Add `deltas` to the positions, as `RiskClient.change_positions` does.

        Calls that are awaited together may arrive in any order.
        """
        return await self._call(
            self._blocking.change_positions, portfolio_id, deltas, event_id=event_id
        )

    async def get_portfolio(self, portfolio_id: str) -> Portfolio:
        """Return the portfolio as it is now, with its `version`; else `UnknownPortfolioError`."""
        return await self._call(self._blocking.get_portfolio, portfolio_id)

    async def remove_portfolio(self, portfolio_id: str) -> int:
        """Hold the portfolio no longer; returns its last version."""
        return await self._call(self._blocking.remove_portfolio, portfolio_id)

    async def report(self, portfolio_id: str) -> LiveReport | None:
        """Return the latest report of a live portfolio, None where none was made yet."""
        return await self._call(self._blocking.report, portfolio_id)

    async def critical_event(
        self,
        reason: str,
        portfolio_ids: Iterable[str] | None = None,
        *,
        event_id: str | None = None,
    ) -> CriticalEvent:
        """Have live portfolios checked at once, as `RiskClient.critical_event` does."""
        return await self._call(
            self._blocking.critical_event, reason, portfolio_ids, event_id=event_id
        )

    def breaches(
        self,
        since: str = NOW,
        *,
        group: str | None = None,
        reader: str | None = None,
        within_s: float | None = None,
    ) -> AsyncChanges:
        """Return an async iterator over changes of state, as `RiskClient.breaches` does.

        A wait that is cancelled loses nothing: what it would have had comes with the next. That the
        server cannot be reached is raised by the first wait.
        """
        self._require_open()
        source = ChangeReader(
            self._blocking.url, since, group=group, reader=reader, is_closed=lambda: self._closed
        )
        return AsyncChanges(source, within_s)

    async def _one(self, portfolio: Portfolio | str, min_version: int | None) -> Portfolio:
        """Return what one check asks for, from the server where it is an id."""
        if isinstance(portfolio, str):
            look_up = self._blocking._asked  # noqa: SLF001 - two shells of one client
            asked = await self._call(look_up, (portfolio,), min_version)
        else:
            asked = read_asked((portfolio,), min_version, _nothing)
        return asked.require_all()[0]

    @abstractmethod
    async def _call(self, function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Return what `function` does in a thread of the client's."""

    @abstractmethod
    def _require_open(self) -> None:
        """Raise `TransportError` where the client is closed."""


_N_SENDERS, _N_CALLERS = 4, 32


@dataclass(slots=True, eq=False)
class _Waiting:
    """One awaited check."""

    portfolio: Portfolio
    call: CallTerms
    give_up_at: float
    future: asyncio.Future[RiskReport]


class AsyncRiskClient(AsyncLiveCalls):
    """Checks portfolios on the workers behind one broker, for one event loop.

    ::

        async with AsyncRiskClient("redis://localhost:6379/0") as risk:
            reports = await asyncio.gather(*(risk.check(book) for book in books))

    A check that is alone goes out at once. Those that come while others are under way share a
    block: it goes at `max_checks`, or when its first check has waited `max_wait_s` (2 ms; 50 ms at
    most). Cancelling a check, its deadline and its errors concern that check alone.

    What is sent and read is sent and read by the blocking client's connections, in a few threads.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 5.0,
        client_name: str = "",
        max_checks: int = 100,
        max_wait_s: float = 0.002,
    ) -> None:
        self._blocking = RiskClient(url, timeout_s=timeout_s, client_name=client_name)
        self._calls = KnownCalls(timeout_s)
        self._coalescer: Coalescer[_Waiting] = Coalescer(Company(max_checks, max_wait_s))
        self._senders = ThreadPoolExecutor(_N_SENDERS, thread_name_prefix="risk-tasks-send")
        # Apart from them: a call that waits for its answer holds its thread as long.
        self._callers = ThreadPoolExecutor(_N_CALLERS, thread_name_prefix="risk-tasks-call")
        self._alarm: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._waiting: set[_Waiting] = set()
        self._closed = False

    async def check(
        self,
        portfolio: Portfolio | str,
        *,
        min_version: int | None = None,
        explain: bool = False,
        **options: Unpack[CheckOptions],
    ) -> RiskReport:
        """Return the report of one portfolio; raises as `RiskClient.check` does."""
        report = self.check_shared(portfolio, min_version=min_version, explain=explain, **options)
        return require_request(await report)

    async def check_shared(
        self,
        portfolio: Portfolio | str,
        *,
        min_version: int | None = None,
        explain: bool = False,
        **options: Unpack[CheckOptions],
    ) -> RiskReport:
        """As `check`, but what cannot be computed has a report, as in `check_many`.

        The id of no live portfolio is refused all the same.
        """
        self._require_open()
        call, kind = self._calls.read(explain=explain, **options)
        loop = asyncio.get_running_loop()
        now = loop.time()
        own = portfolio
        if min_version is not None or not isinstance(own, Portfolio):
            own = await self._one(own, min_version)
        waiting = _Waiting(own, call, now + call.timeout_s, loop.create_future())
        self._waiting.add(waiting)
        try:
            block = self._coalescer.add(kind, waiting, loop.time())
            if block is not None:
                self._send(block)
            elif self._alarm is None:
                self._set_alarm()
            return await waiting.future
        finally:
            self._waiting.discard(waiting)

    async def check_many(
        self,
        portfolios: Iterable[Portfolio | str],
        *,
        min_version: int | None = None,
        explain: bool = False,
        **options: Unpack[CheckOptions],
    ) -> list[RiskReport]:
        """Return one report for each portfolio, as `RiskClient.check_many` does."""
        check_many = self._blocking.check_many
        return await self._call(
            check_many, portfolios, min_version=min_version, explain=explain, **options
        )

    async def check_table(
        self,
        positions: Any,
        *,
        portfolios: Any | None = None,
        min_version: int | None = None,
        return_breaches: bool = False,
        **options: Unpack[CheckOptions],
    ) -> Any:
        """Return a table with a row per portfolio, as `RiskClient.check_table` does."""
        check_table: Callable[..., Any] = self._blocking.check_table
        return await self._call(
            check_table,
            positions,
            portfolios=portfolios,
            min_version=min_version,
            return_breaches=return_breaches,
            **options,
        )

    async def submit(
        self,
        portfolios: Iterable[Portfolio | str],
        *,
        min_version: int | None = None,
        explain: bool = False,
        **options: Unpack[CheckOptions],
    ) -> AsyncHandle:
        """Send checks without waiting, as `RiskClient.submit` does."""
        submit = self._blocking.submit
        handle = await self._call(
            submit, portfolios, min_version=min_version, explain=explain, **options
        )
        return AsyncHandle(handle.check_id, self)

    async def result(self, check_id: str, *, timeout_s: float | None = None) -> list[RiskReport]:
        """Return the reports of a submitted call, as `RiskClient.result` does."""
        return await self._call(self._blocking.result, check_id, timeout_s=timeout_s)

    async def publish_market(self, snapshot: MarketSnapshot, name: str = DEFAULT_NAME) -> str:
        """Make `snapshot` the market of later checks; returns its id."""
        return await self._call(self._blocking.publish_market, snapshot, name)

    async def load_market(self, market: str = DEFAULT_NAME) -> MarketSnapshot | None:
        """Return the market of this name or id, or None where none is published."""
        return await self._call(self._blocking.load_market, market)

    async def publish_prices(
        self, prices: Mapping[str, float], *, as_of: datetime, name: str = DEFAULT_NAME
    ) -> str:
        """Put new marks on the same return panel; returns the new id."""
        return await self._call(self._blocking.publish_prices, prices, as_of=as_of, name=name)

    async def publish_limits(self, limit_set: LimitSet, name: str = DEFAULT_NAME) -> str:
        """Make `limit_set` the one that later checks are held against; returns its version."""
        return await self._call(self._blocking.publish_limits, limit_set, name)

    async def close(self) -> None:
        """End the connections; waiting calls get a `TransportError`."""
        if self._closed:
            return
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        # Not among the callers, who may all be waiting for what this ends.
        await asyncio.to_thread(self._blocking.close)
        for waiting in list(self._waiting):
            if not waiting.future.done():
                closed = TransportError("The client was closed.", remedy="Make a new one.")
                waiting.future.set_exception(closed)
        await asyncio.gather(*self._sending, return_exceptions=True)
        self._senders.shutdown(wait=False)
        self._callers.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Async{self._blocking!r}"

    async def _call(self, function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        self._require_open()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._callers, lambda: function(*args, **kwargs))

    def _require_open(self) -> None:
        if self._closed:
            raise TransportError("The client is closed.", remedy="Make a new one.")

    def _set_alarm(self) -> None:
        """Wake when the next block has waited long enough."""
        at = self._coalescer.next_at()
        if at is not None and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_at(at, self._send_due)

    def _send_due(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        for _, block in self._coalescer.due(asyncio.get_running_loop().time()):
            self._send(block)
        self._set_alarm()

    def _send(self, block: list[_Waiting]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(block))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _answer(self, block: list[_Waiting]) -> None:
        """Send the checks of a block that still have a caller, and give each its report."""
        try:
            awaited = [waiting for waiting in block if not waiting.future.done()]
            if awaited:
                await self._ask(awaited)
        finally:
            self._coalescer.arrived()
            if not self._closed:
                self._send_due()

    async def _ask(self, block: list[_Waiting]) -> None:
        portfolios = [waiting.portfolio for waiting in block]
        try:
            found = await self._reports(portfolios, block[0].call, block[0].give_up_at)
            for waiting, report in zip(block, found, strict=True):
                if not waiting.future.done():
                    waiting.future.set_result(report)
        except Exception as error:
            for place, waiting in enumerate(block):
                if not waiting.future.done():
                    waiting.future.set_exception(of_row(error, place))

    async def _reports(
        self, portfolios: Sequence[Portfolio], call: CallTerms, give_up_at: float
    ) -> list[RiskReport]:
        parts = [(pack_portfolios(portfolios, call.terms), call.stamp)]
        link = self._blocking._link()  # noqa: SLF001 - two shells of one client
        loop, check_id = asyncio.get_running_loop(), ""
        sending = loop.run_in_executor(self._senders, link.send, parts, call)
        try:
            # Those that share a block came within milliseconds of each other.
            async with asyncio.timeout_at(give_up_at):
                sent = await asyncio.shield(sending)
                check_id = str(sent.check_id)
                found = await asyncio.gather(*map(asyncio.wrap_future, sent.futures))
        except TimeoutError:
            raise unanswered(call, check_id) from None
        finally:
            sending.add_done_callback(lambda sent: _forget(link, sent))
        answers = link.read(parts, call, sent, found)
        return reports([portfolio.id for portfolio in portfolios], answers)


@dataclass(frozen=True, slots=True)
class AsyncHandle:
    """A call that was submitted; `check_id` is good in any process."""

    check_id: str
    _client: AsyncRiskClient

    async def result(self, *, timeout_s: float | None = None) -> list[RiskReport]:
        """Return the reports, as `RiskClient.result` does."""
        return await self._client.result(self.check_id, timeout_s=timeout_s)


def _forget(link: Link, sending: asyncio.Future[SentCall]) -> None:
    """Whatever became of a call, also of one whose sending took longer than it had."""
    if not sending.cancelled() and sending.exception() is None:
        link.forget(sending.result())
