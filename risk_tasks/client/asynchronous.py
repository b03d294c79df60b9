"""The asyncio client: the methods of the blocking client, awaitable; checks share messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

from risk_tasks.client.blocking import RiskClient
from risk_tasks.client.breach_stream import AsyncLimitChanges, LimitChangeReader
from risk_tasks.client.coalescing import (
    Coalescer,
    CoalescingPolicy,
    PendingRequest,
    RetryIndividuallyError,
    fan_out,
    fan_out_error,
)
from risk_tasks.client.connection import Connection, SentCall, timeout_error
from risk_tasks.client.lookup import find_portfolios
from risk_tasks.client.options import CheckOptions, read_options, read_timeout, require_computed
from risk_tasks.client.replies import closed_error
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport
from risk_tasks.store.breaches import NOW
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import Detail, pack_portfolios

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")

_N_SENDING_THREADS, _N_CALLING_THREADS = 4, 32

_PendingCheck = PendingRequest[Portfolio]


def _in_thread(
    method: Callable[Concatenate[RiskClient, Parameters], Result],
) -> Callable[Concatenate[AsyncRiskClient, Parameters], Coroutine[Any, Any, Result]]:
    """Return a method of the blocking client as an awaitable one, which runs it in a thread."""

    @wraps(method)
    async def call(
        self: AsyncRiskClient, /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        return await self._call(method, self._blocking, *args, **kwargs)

    return call


class AsyncRiskClient:
    """Checks portfolios on the workers behind one broker, for one event loop.

    ::

        async with AsyncRiskClient("redis://localhost:6379/0") as risk:
            reports = await asyncio.gather(*(risk.check(book) for book in books))

    A single check goes at once. Checks that arrive while others are in progress share a message: it
    goes at `max_checks`, or when its first check has waited `max_wait_s` (2 ms; 50 ms at most).
    Each check keeps its own deadline and errors, and may be cancelled without effect on others.

    The connections are those of a blocking client, which works in a few threads.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 5.0,
        client_name: str = "",
        replicas_required: int = 0,
        max_checks: int = 100,
        max_wait_s: float = 0.002,
    ) -> None:
        self._blocking = RiskClient(
            url,
            timeout_s=timeout_s,
            client_name=client_name,
            replicas_required=replicas_required,
        )
        self._timeout_s = read_timeout(timeout_s)
        self._coalescer: Coalescer[_PendingCheck] = Coalescer(
            CoalescingPolicy(max_checks, max_wait_s)
        )
        self._sending = ThreadPoolExecutor(_N_SENDING_THREADS, thread_name_prefix="risk-tasks-send")
        # Not the sending threads: a call holds its thread until it is answered.
        self._calling = ThreadPoolExecutor(_N_CALLING_THREADS, thread_name_prefix="risk-tasks-call")
        self._timer: asyncio.TimerHandle | None = None
        self._exchanges: set[asyncio.Task[None]] = set()
        self._pending: set[_PendingCheck] = set()
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
        return require_computed(await report)

    async def check_shared(
        self,
        portfolio: Portfolio | str,
        *,
        min_version: int | None = None,
        explain: bool = False,
        **options: Unpack[CheckOptions],
    ) -> RiskReport:
        """As `check`, but a portfolio that cannot be computed has a report, as in `check_many`.

        An id that is not held is an error all the same.
        """
        self._require_open()
        call = read_options(Detail.of_reports(explain), self._timeout_s, **options)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + call.timeout_s
        if min_version is not None or not isinstance(portfolio, Portfolio):
            portfolio = await self._find(portfolio, min_version)
        check = _PendingCheck(portfolio, call, deadline, loop.create_future())
        self._pending.add(check)
        try:
            message = self._coalescer.add(call.coalescing_key, check, loop.time())
            if message is not None:
                self._send(message)
            elif self._timer is None:
                self._set_timer()
            report: RiskReport = await check.future
        except RetryIndividuallyError as failed:
            error = failed.error
        else:
            return report
        finally:
            self._pending.discard(check)
        return await self._retry(check, error)

    check_many = _in_thread(RiskClient.check_many)
    check_table = _in_thread(RiskClient.check_table)

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

    result = _in_thread(RiskClient.result)
    publish_market = _in_thread(RiskClient.publish_market)
    load_market = _in_thread(RiskClient.load_market)
    publish_prices = _in_thread(RiskClient.publish_prices)
    publish_limits = _in_thread(RiskClient.publish_limits)
    set_portfolio = _in_thread(RiskClient.set_portfolio)
    change_positions = _in_thread(RiskClient.change_positions)
    get_portfolio = _in_thread(RiskClient.get_portfolio)
    remove_portfolio = _in_thread(RiskClient.remove_portfolio)
    critical_event = _in_thread(RiskClient.critical_event)
    report = _in_thread(RiskClient.report)

    def breaches(
        self,
        since: str = NOW,
        *,
        group: str | None = None,
        reader: str | None = None,
        idle_timeout_s: float | None = None,
    ) -> AsyncLimitChanges:
        """Return an async iterator over changes of state, as `RiskClient.breaches` does.

        A wait that is cancelled loses nothing: the next one returns its change. The first wait
        raises `TransportError` if the server cannot be reached.
        """
        self._require_open()
        source = LimitChangeReader(
            self._blocking.url,
            since,
            group=group,
            reader=reader,
            is_client_closed=lambda: self._closed,
        )
        return AsyncLimitChanges(source, idle_timeout_s)

    async def close(self) -> None:
        """End the connections; waiting calls get a `TransportError`."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        # In another thread: all calling threads may be waiting for what this ends.
        await asyncio.to_thread(self._blocking.close)
        fan_out_error(list(self._pending), closed_error())
        await asyncio.gather(*self._exchanges, return_exceptions=True)
        self._sending.shutdown(wait=False)
        self._calling.shutdown(wait=False)

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
        """Return what `function` returns in a thread of the client."""
        self._require_open()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._calling, lambda: function(*args, **kwargs))

    def _require_open(self) -> None:
        if self._closed:
            raise closed_error()

    async def _find(self, portfolio: Portfolio | str, min_version: int | None) -> Portfolio:
        """Return the portfolio of one check, loaded from the server if it is an id."""
        if isinstance(portfolio, str):
            find = self._blocking._find  # noqa: SLF001 - two shells of one client
            found = await self._call(find, (portfolio,), min_version)
        else:
            found = find_portfolios((portfolio,), min_version, lambda _: ())
        return found.require_all()[0]

    def _set_timer(self) -> None:
        """Wake when the next message is due."""
        at = self._coalescer.next_at()
        if at is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(at, self._send_due)

    def _send_due(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for message in self._coalescer.due(asyncio.get_running_loop().time()):
            self._send(message)
        self._set_timer()

    def _send(self, message: list[_PendingCheck]) -> None:
        task = asyncio.get_running_loop().create_task(self._exchange_message(message))
        self._exchanges.add(task)
        task.add_done_callback(self._exchanges.discard)

    async def _exchange_message(self, message: list[_PendingCheck]) -> None:
        """Exchange a message for its answer, without the checks that were cancelled."""
        try:
            checks = [check for check in message if not check.future.done()]
            if checks:
                await self._exchange(checks)
        finally:
            self._coalescer.end()
            if not self._closed:
                self._send_due()

    async def _exchange(self, checks: Sequence[_PendingCheck]) -> None:
        """Send checks as one message and give each its report or its error."""
        try:
            found = await self._reports(checks)
        except Exception as error:
            fan_out_error(checks, error)
        else:
            fan_out(checks, found)

    async def _retry(self, check: _PendingCheck, error: Exception) -> RiskReport:
        """Return the report of a check that is sent again, individually, in its remaining time."""
        loop = asyncio.get_running_loop()
        left_s = check.deadline - loop.time()
        if left_s <= 0:
            raise error
        options = replace(check.options, timeout_s=left_s)
        again = replace(check, options=options, future=loop.create_future())
        await self._exchange([again])
        report: RiskReport = await again.future
        return report

    async def _reports(self, checks: Sequence[_PendingCheck]) -> list[RiskReport]:
        # The checks of a message came within milliseconds: the first stands for all.
        call, deadline = checks[0].options, checks[0].deadline
        portfolios = [check.payload for check in checks]
        request = pack_portfolios(portfolios, call.terms)
        connection = self._blocking._connection  # noqa: SLF001 - two shells of one client
        loop, check_id = asyncio.get_running_loop(), ""
        sending = loop.run_in_executor(self._sending, connection.send, request, call)
        try:
            async with asyncio.timeout_at(deadline):
                sent = await asyncio.shield(sending)
                check_id = str(sent.check_id)
                payloads = await asyncio.gather(*map(asyncio.wrap_future, sent.futures))
        except TimeoutError:
            raise timeout_error(call, check_id) from None
        finally:
            sending.add_done_callback(lambda sending: _forget(connection, sending))
        answers = connection.read(sent, payloads)
        return reports([portfolio.id for portfolio in portfolios], answers)


@dataclass(frozen=True, slots=True)
class AsyncHandle:
    """A submitted call; `check_id` is valid in every process."""

    check_id: str
    _client: AsyncRiskClient

    async def result(self, *, timeout_s: float | None = None) -> list[RiskReport]:
        """Return the reports, as `RiskClient.result` does."""
        return await self._client.result(self.check_id, timeout_s=timeout_s)


def _forget(connection: Connection, sending: asyncio.Future[SentCall]) -> None:
    """Stop waiting for the answers of a call, also if it was sent after its deadline."""
    if not sending.cancelled() and sending.exception() is None:
        connection.forget(sending.result())
