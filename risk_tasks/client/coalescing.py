"""Coalescing: calls that share a message.

`Coalescer` decides when a message goes, without threads, event loop or clock. `fan_out` gives each
caller its part of the answers, or the error of the message. The asyncio client drives both in its
event loop, `ThreadCoalescer` in a thread for the blocking client.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa

from risk_tasks.client.answers import Decode, Result
from risk_tasks.client.check_ids import CheckId
from risk_tasks.client.connection import Connection, SentCall, timeout_error
from risk_tasks.client.options import CallOptions
from risk_tasks.client.partitioning import request_size
from risk_tasks.client.replies import closed_error
from risk_tasks.errors import (
    DeadLetterError,
    InvalidSettingsError,
    QueueFullError,
    QuotaExceededError,
    ReportTimeoutError,
    RiskTasksError,
)
from risk_tasks.model.values import as_finite
from risk_tasks.queues import Lane
from risk_tasks.wire.request import RequestBlock

Item = TypeVar("Item")
Payload = TypeVar("Payload")

_MAX_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class CoalescingPolicy:
    """How many checks share a message at most, and how long the first of them waits."""

    max_checks: int = 100
    max_wait_s: float = 0.002

    def __post_init__(self) -> None:
        if type(self.max_checks) is not int or self.max_checks < 1:
            raise InvalidSettingsError(
                f"{self.max_checks!r} is not a number of checks.",
                field="max_checks",
                remedy="Give a whole number, 1 at least.",
            )
        wait_s = as_finite(self.max_wait_s)
        if wait_s is None or not 0 <= wait_s <= _MAX_WAIT_S:
            raise InvalidSettingsError(
                f"{self.max_wait_s!r} is not a time to wait for other checks.",
                field="max_wait_s",
                remedy=f"Give seconds, from 0 to {_MAX_WAIT_S}.",
            )


@dataclass(slots=True)
class _Gathering(Generic[Item]):
    since: float
    items: list[Item] = field(default_factory=list)
    size: int = 0


class Coalescer(Generic[Item]):
    """Collects items by key; those of one key may share a message. Time is an argument.

    While nothing is in progress, an item goes at once, so that a single one never waits. While
    something is, items gather until they fill a message, or the first has waited long enough.
    """

    def __init__(self, policy: CoalescingPolicy) -> None:
        self._policy = policy
        self._gathering: dict[Hashable, _Gathering[Item]] = {}
        self.n_in_progress = 0

    def begin(self) -> None:
        """Count a call or a message as in progress, until `end`."""
        self.n_in_progress += 1

    def end(self) -> None:
        """Count one fewer in progress, after success or failure."""
        self.n_in_progress -= 1

    def is_gathering(self, key: Hashable) -> bool:
        return key in self._gathering

    def add(self, key: Hashable, item: Item, now: float, size: int = 1) -> list[Item] | None:
        """Add an item of `size` checks; returns the message to send now, which is in progress.

        The last item may make a message larger than the bound.
        """
        gathering = self._gathering.get(key)
        if gathering is None:
            gathering = self._gathering[key] = _Gathering(now)
        gathering.items.append(item)
        gathering.size += size
        if self.n_in_progress == 0 or gathering.size >= self._policy.max_checks:
            return self._take(key)
        return None

    def due(self, now: float) -> list[list[Item]]:
        """Return the messages to send now, which are in progress from here on."""
        messages = []
        for key, gathering in list(self._gathering.items()):
            if self.n_in_progress == 0 or now >= gathering.since + self._policy.max_wait_s:
                messages.append(self._take(key))
        return messages

    def next_at(self) -> float | None:
        """Return when the next message is due, None if nothing gathers."""
        since = [gathering.since for gathering in self._gathering.values()]
        return min(since) + self._policy.max_wait_s if since else None

    def _take(self, key: Hashable) -> list[Item]:
        self.n_in_progress += 1
        return self._gathering.pop(key).items


@dataclass(slots=True, eq=False)
class PendingRequest(Generic[Payload]):
    """The request of one caller, who waits for `future` until `deadline`."""

    payload: Payload
    options: CallOptions
    deadline: float
    #: of a thread or of an event loop
    future: Any
    n_portfolios: int = 1


class RetryIndividuallyError(Exception):
    """A shared message failed, perhaps because of another caller: send this request alone."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def fan_out(requests: Sequence[PendingRequest[Any]], results: Iterable[object]) -> None:
    """Give each request of a message its result."""
    for request, result in zip(requests, results, strict=True):
        if not request.future.done():
            request.future.set_result(result)


def fan_out_error(
    requests: Sequence[PendingRequest[Any]], error: Exception, *, may_retry: bool | None = None
) -> None:
    """Give each request of a message its error.

    After an error that another request of the message may have caused, the error of each request is
    `RetryIndividuallyError`; `may_retry` is true by default if the message has others. The id in a
    timeout names the rows of the request.
    """
    may_retry = len(requests) > 1 if may_retry is None else may_retry
    own: Exception = RetryIndividuallyError(error) if may_retry and _is_shared(error) else error
    for request, (start, stop) in zip(requests, row_ranges(requests), strict=True):
        if isinstance(error, ReportTimeoutError) and error.check_id and len(requests) > 1:
            check_id = CheckId.parse(error.check_id).of_rows(start, stop)
            own = ReportTimeoutError(error.message, check_id=str(check_id))
        if not request.future.done():
            request.future.set_exception(own)


def row_ranges(requests: Sequence[PendingRequest[Any]]) -> list[tuple[int, int]]:
    """Return the rows of each request in their message: the first, and the one after the last."""
    return list(pairwise(accumulate((one.n_portfolios for one in requests), initial=0)))


def _is_shared(error: Exception) -> bool:
    """Whether another request of a message may have caused its error."""
    if isinstance(error, RiskTasksError):
        # The failure of a worker is an error of the base class.
        caused = (QueueFullError, QuotaExceededError, DeadLetterError)
        return isinstance(error, caused) or type(error) is RiskTasksError
    return True


#: sizes are positions and portfolios; a larger call gains nothing by sharing a message
_MAX_SHARED_SIZE = 12_500
_THREAD_POLICY = CoalescingPolicy(max_checks=50_000, max_wait_s=0.005)
_CLOSE_TIMEOUT_S = 5.0


@dataclass(slots=True, eq=False, kw_only=True)
class _ThreadRequest(PendingRequest[RequestBlock]):
    """The request of a thread, which gives it up by setting `is_abandoned`."""

    decode: Decode[Any]
    is_abandoned: bool = False
    message: _Message | None = None


@dataclass(slots=True, eq=False)
class _Message:
    """Requests that are sent as one."""

    requests: Sequence[_ThreadRequest]
    sent: SentCall | None = None

    def check_id_of(self, request: _ThreadRequest) -> CheckId | str:
        """Return the id of the rows of one request; an empty text before the message is sent."""
        if self.sent is None or len(self.requests) == 1:
            return self.sent.check_id if self.sent else ""
        index = self.requests.index(request)
        return self.sent.check_id.of_rows(*row_ranges(self.requests)[index])


class ThreadCoalescer:
    """Lets the calls of several threads share messages.

    A call goes at once, in its own thread, while no other is prepared or sent. Calls that arrive
    meanwhile gather by their options, and one thread sends and decodes for all of them, so that no
    caller works for another. Each caller waits with its own timeout and takes its own rows.
    """

    def __init__(
        self,
        connection: Connection,
        policy: CoalescingPolicy = _THREAD_POLICY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection = connection
        self._clock = clock
        self._coalescer: Coalescer[_ThreadRequest] = Coalescer(policy)
        self._changed = threading.Condition()
        self._work: deque[Callable[[], None]] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False

    def request(
        self,
        prepare: Callable[[], tuple[RequestBlock, pa.StringArray | None]],
        options: CallOptions,
        decode: Decode[Result],
        n_positions: int,
    ) -> Result:
        """Return the decoded answers to the request and limit sets that `prepare` returns.

        Raises as `Connection.request` does. Others do not wait for a large call.
        """
        if n_positions > _MAX_SHARED_SIZE:
            return self.connection.request(*prepare(), options, decode)
        pending = None
        self._begin()
        try:
            request, limit_sets = prepare()
            if limit_sets is None and options.lane is not Lane.CRITICAL:
                pending = self._gather(request, options, decode)
            if pending is None:
                sent = self.connection.send(request, options, limit_sets, keep_order=False)
        finally:
            self._end()
        return self.connection.receive(sent, decode) if pending is None else self._wait(pending)

    def close(self) -> None:
        """End the thread; waiting calls get a `TransportError`."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=_CLOSE_TIMEOUT_S)

    def _begin(self) -> None:
        with self._changed:
            self._coalescer.begin()

    def _end(self) -> None:
        with self._changed:
            self._coalescer.end()
            if self._coalescer.next_at() is not None:
                self._wake()

    def _gather(
        self, request: RequestBlock, options: CallOptions, decode: Decode[Any]
    ) -> _ThreadRequest | None:
        """Let a request wait for a message to share; None if it is to go alone, at once."""
        size, key = request_size(request), options.coalescing_key
        with self._changed:
            if self._closed:
                raise closed_error()
            # The call itself is in progress.
            is_alone = self._coalescer.n_in_progress == 1 and not self._coalescer.is_gathering(key)
            if is_alone or not len(request) or size > _MAX_SHARED_SIZE:
                return None
            now = self._clock()
            deadline = time.monotonic() + options.timeout_s
            pending = _ThreadRequest(
                request, options, deadline, Future(), len(request), decode=decode
            )
            message = self._coalescer.add(key, pending, now, size)
            if message is not None:
                self._work.append(partial(self._send, message))
                self._wake()
            return pending

    def _wait(self, pending: _ThreadRequest) -> Any:
        try:
            return pending.future.result(_left_s(pending))
        except TimeoutError:
            message = pending.message
            check_id = message.check_id_of(pending) if message else ""
            raise timeout_error(pending.options, check_id) from None
        except RetryIndividuallyError as failed:
            error = failed.error
        finally:
            if not pending.future.done():
                pending.is_abandoned = True
                self._forget_if_abandoned(pending.message)
        left_s = _left_s(pending)
        if left_s <= 0:
            raise error
        options = replace(pending.options, timeout_s=left_s)
        return self.connection.request(pending.payload, None, options, pending.decode)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="risk-tasks-coalescing", daemon=True
            )
            self._thread.start()
        self._changed.notify()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            work()

    def _next(self) -> Callable[[], None] | None:
        """Wait for work; None once the client is closed and all work is done."""
        with self._changed:
            while True:
                now = float("inf") if self._closed else self._clock()
                for message in self._coalescer.due(now):
                    self._work.append(partial(self._send, message))
                if self._work:
                    return self._work.popleft()
                if self._closed:
                    return None
                at = self._coalescer.next_at()
                self._changed.wait(None if at is None else at - now)

    def _send(self, gathered: Sequence[_ThreadRequest]) -> None:
        requests = [request for request in gathered if not request.is_abandoned]
        message = _Message(requests)
        try:
            for request in requests:
                request.message = message
            if requests:
                options = requests[0].options
                with self.connection.cpu_lock(0):
                    merged = merge_requests([request.payload for request in requests])
                message.sent = self.connection.send(merged, options, wait_for_room=False)
        except Exception as error:
            # Also of a single request: individually, it may wait for room.
            fan_out_error(requests, error, may_retry=True)
        finally:
            self._end()
        if message.sent is not None:
            # A caller sets its mark first, and looks then whether the message was sent.
            self._forget_if_abandoned(message)
            self._when_answered(message, iter(message.sent.futures))

    def _when_answered(
        self, message: _Message, missing: Iterator[Future[bytes]], _: object = None
    ) -> None:
        """Wait for one answer after the other, then let the thread decode them all."""
        future = next(missing, None)
        if future is not None:
            future.add_done_callback(partial(self._when_answered, message, missing))
            return
        with self._changed:
            self._work.append(partial(self._fan_out, message))
            self._wake()

    def _fan_out(self, message: _Message) -> None:
        requests, sent = message.requests, message.sent
        assert sent is not None
        try:
            payloads = [future.result() for future in sent.futures]
            with self.connection.cpu_lock(len(sent.request.quantity)):
                answers = self.connection.read(sent, payloads)
                result = requests[0].decode(sent.request.portfolio_ids, answers, None)
            fan_out(requests, [result[start:stop] for start, stop in row_ranges(requests)])
        except Exception as error:
            fan_out_error(requests, error)

    def _forget_if_abandoned(self, message: _Message | None) -> None:
        if message and message.sent and all(one.is_abandoned for one in message.requests):
            self.connection.forget(message.sent)


def merge_requests(requests: Sequence[RequestBlock]) -> RequestBlock:
    """Return the portfolios of all `requests`, at least one, in their order; ids may repeat."""
    first = requests[0]
    if len(requests) == 1:
        return first
    code_of = {name: code for code, name in enumerate(first.instrument_names)}
    codes = []
    for request in requests:
        # Most callers name the same instruments: a comparison costs a tenth of the look-ups.
        if request.instrument_names == first.instrument_names:
            codes.append(request.instrument)
            continue
        own = [code_of.setdefault(name, len(code_of)) for name in request.instrument_names]
        # The code -1 of a position without a name finds the last entry.
        codes.append(np.array([*own, -1], dtype=np.int32)[request.instrument])
    sizes = np.concatenate([np.diff(request.offsets) for request in requests])
    return replace(
        first,
        portfolio_ids=pa.concat_arrays([request.portfolio_ids for request in requests]),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        instrument=np.concatenate(codes),
        instrument_names=list(code_of),
        quantity=np.concatenate([request.quantity for request in requests]),
        cash=pa.concat_arrays([request.cash for request in requests]),
        nav=pa.concat_arrays([request.nav for request in requests]),
        tags=[tags for request in requests for tags in request.tags or [{}] * len(request)]
        if any(request.tags for request in requests)
        else (),
    )


def _left_s(pending: PendingRequest[Any]) -> float:
    return max(0.0, pending.deadline - time.monotonic())
