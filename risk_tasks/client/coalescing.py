"""Calls that share a message: when they go, and who gets what."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, pairwise
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, cast

import numpy as np
import pyarrow as pa

from risk_tasks.client.answers import Outcome
from risk_tasks.client.check_ids import CheckId
from risk_tasks.client.options import CallTerms, kind_of, unanswered
from risk_tasks.client.partitioning import Part, PlacedPart
from risk_tasks.errors import (
    DeadLetterError,
    InvalidSettingsError,
    QueueFullError,
    QuotaExceededError,
    ReportTimeoutError,
    RiskTasksError,
    TransportError,
)
from risk_tasks.model.number import as_finite
from risk_tasks.queues import Lane
from risk_tasks.wire.answer import AnswerBlock
from risk_tasks.wire.request import RequestBlock

#: from so many rows of positions on the calls are long, and threads had better work side by side
LONG_ROWS = 100_000


class Turns:
    """Whose turn it is; belongs to one process, since a fork could inherit a lock that is taken."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def of(self, n_rows: int) -> AbstractContextManager[object]:
        """Return what holds the turn while `n_rows` of positions are worked on.

        Nobody waits for long work: it goes on beside that of others.
        """
        return self._turn if n_rows < LONG_ROWS else nullcontext()


Item = TypeVar("Item")

_MAX_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class Company:
    """How many checks share a block at most, and how long the first waits for the others."""

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
                f"{self.max_wait_s!r} is not a time to wait for company.",
                field="max_wait_s",
                remedy=f"Give seconds, from 0 to {_MAX_WAIT_S}.",
            )


@dataclass(slots=True)
class _Gathering(Generic[Item]):
    since: float
    items: list[Item] = field(default_factory=list)
    size: int = 0


class Coalescer(Generic[Item]):
    """Gathers items by kind; those of one kind may share a block. Time is an argument."""

    def __init__(self, company: Company) -> None:
        self._company = company
        self._gathering: dict[Hashable, _Gathering[Item]] = {}
        self._n_under_way = 0

    def began(self) -> None:
        """Something that others had better wait for is under way, until it has `arrived`."""
        self._n_under_way += 1

    def add(self, kind: Hashable, item: Item, now: float, size: int = 1) -> list[Item] | None:
        """Take `item` in; returns the block that is to go out now, which is then under way.

        A block of items that are several checks each may be larger than the bound by its last.
        """
        gathering = self._gathering.get(kind)
        if gathering is None:
            gathering = self._gathering[kind] = _Gathering(now)
        gathering.items.append(item)
        gathering.size += size
        if self._n_under_way == 0 or gathering.size >= self._company.max_checks:
            return self.leave(kind)
        return None

    def due(self, now: float) -> Iterator[tuple[Hashable, list[Item]]]:
        """Yield the blocks that have waited long enough, or that nothing is under way before."""
        for kind, gathering in list(self._gathering.items()):
            if self._n_under_way == 0 or now >= gathering.since + self._company.max_wait_s:
                yield kind, self.leave(kind)

    def arrived(self) -> None:
        """What was under way no longer is, whatever became of it."""
        self._n_under_way -= 1

    def next_at(self) -> float | None:
        """Return when the next block is due, None where nothing gathers."""
        since = [gathering.since for gathering in self._gathering.values()]
        return min(since) + self._company.max_wait_s if since else None

    def gathered(self, kind: Hashable) -> Sequence[Item]:
        """Return what gathers, in the order in which it came."""
        gathering = self._gathering.get(kind)
        return gathering.items if gathering else ()

    def leave(self, kind: Hashable) -> list[Item]:
        """Return what gathers as a block, which is then under way."""
        self._n_under_way += 1
        return self._gathering.pop(kind).items


def join(requests: Sequence[RequestBlock]) -> RequestBlock:
    """Return the portfolios of all `requests`, at least one, in order; ids may repeat."""
    first = requests[0]
    if len(requests) == 1:
        return first
    places = {name: place for place, name in enumerate(first.instrument_names)}
    codes = []
    for request in requests:
        # Users of one market mostly name the same: comparing is a tenth of looking each up.
        if request.instrument_names == first.instrument_names:
            codes.append(request.instrument)
            continue
        known = [places.setdefault(name, len(places)) for name in request.instrument_names]
        # A code of -1 is a position without a name, and finds the last.
        codes.append(np.array([*known, -1], dtype=np.int32)[request.instrument])
    sizes = np.concatenate([np.diff(request.offsets) for request in requests])
    return replace(
        first,
        portfolio_ids=pa.concat_arrays([request.portfolio_ids for request in requests]),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        instrument=np.concatenate(codes),
        instrument_names=list(places),
        quantity=np.concatenate([request.quantity for request in requests]),
        cash=pa.concat_arrays([request.cash for request in requests]),
        nav=pa.concat_arrays([request.nav for request in requests]),
        tags=[tags for request in requests for tags in request.tags or [{}] * len(request)]
        if any(request.tags for request in requests)
        else (),
    )


#: what may befall a request because of one of those who share it
_OF_COMPANY = (QueueFullError, QuotaExceededError, DeadLetterError)


@dataclass(frozen=True, slots=True)
class SentCall:
    """A call whose blocks are on their lane."""

    check_id: CheckId
    started: float
    futures: list[Future[bytes]]
    parts: Sequence[PlacedPart]


class Line(Protocol):
    """What a link does for those who share it."""

    turns: Turns

    def send(self, parts: Sequence[Part], call: CallTerms, *, patient: bool) -> SentCall: ...

    def read(
        self, parts: Sequence[Part], call: CallTerms, sent: SentCall, found: Sequence[bytes]
    ) -> list[AnswerBlock]: ...

    def forget(self, sent: SentCall) -> None: ...


@dataclass(frozen=True, slots=True)
class Alone:
    """Told to those who had better ask by themselves, with what befell them together."""

    error: Exception


@dataclass(slots=True, eq=False)
class Asked:
    """The request of one caller, who waits for `told`."""

    request: RequestBlock
    call: CallTerms
    shape: Callable[[pa.StringArray, Iterable[AnswerBlock]], Outcome]
    until: float
    told: Future[Any] = field(default_factory=Future)
    is_left: bool = False
    group: Group | None = None
    check_id: CheckId | None = None

    @property
    def size(self) -> int:
        """A portfolio without positions is work too."""
        return int(self.request.offsets[-1]) + len(self.request)

    def leave(self) -> None:
        """The caller waits no longer."""
        self.is_left = True
        if self.group is not None:
            self.group.forget_if_left()


class Group:
    """Requests of one kind; `answered` is called, by any thread, once there is all to `tell`."""

    def __init__(
        self, line: Line, asked: Sequence[Asked], answered: Callable[[Group], None]
    ) -> None:
        self._line = line
        self._asked = [one for one in asked if not one.is_left]
        self._answered = answered
        ends = accumulate((len(one.request) for one in self._asked), initial=0)
        self._rows = list(pairwise(ends))
        self._parts: list[Part] = []
        self._sent: SentCall | None = None
        self._missing: Iterator[Future[bytes]] = iter(())
        for one in self._asked:
            one.group = self

    def send(self) -> None:
        """Send what somebody still waits for; what goes wrong is told."""
        if not self._asked:
            return
        call = self._asked[0].call
        try:
            with self._line.turns.of(0):
                self._parts = [(join([one.request for one in self._asked]), call.stamp)]
            sent = self._line.send(self._parts, call, patient=False)
        except Exception as error:
            self._fail(error)
            return
        for one, rows in zip(self._asked, self._rows, strict=True):
            one.check_id = replace(sent.check_id, rows=rows)
        self._sent = sent
        # Whoever leaves sets its mark first, and looks then whether all was sent.
        self.forget_if_left()
        self._missing = iter(sent.futures)
        self._await_next()

    def forget_if_left(self) -> None:
        if self._sent is not None and all(one.is_left for one in self._asked):
            self._line.forget(self._sent)

    def tell(self) -> None:
        """Give each its rows of the answers, which are all there."""
        assert self._sent is not None
        try:
            ((request, _),) = self._parts
            found = [future.result() for future in self._sent.futures]
            with self._line.turns.of(len(request.quantity)):
                answers = self._line.read(self._parts, self._asked[0].call, self._sent, found)
                outcome = self._asked[0].shape(request.portfolio_ids, answers)
        except Exception as error:
            self._fail(error)
            return
        for one, rows in zip(self._asked, self._rows, strict=True):
            one.told.set_result(outcome.rows(*rows))

    def _await_next(self, _: Future[bytes] | None = None) -> None:
        """Wait for one answer after the other, so that no two threads have to count them."""
        missing = next(self._missing, None)
        if missing is not None:
            missing.add_done_callback(self._await_next)
        else:
            self._answered(self)

    def _fail(self, error: Exception) -> None:
        # A worker that fails has no error of a class of its own.
        of_company = isinstance(error, _OF_COMPANY) or type(error) is RiskTasksError
        for one in self._asked:
            if of_company:
                one.told.set_result(Alone(error))
            elif isinstance(error, ReportTimeoutError):
                own = ReportTimeoutError(error.message, check_id=str(one.check_id or ""))
                one.told.set_exception(own)
            else:
                one.told.set_exception(error)


#: sizes are positions and portfolios: a larger call gains nothing from company
_LARGEST_SHARED = 12_500
_COMPANY = Company(max_checks=50_000, max_wait_s=0.005)

#: for what the thread is in the middle of
_CLOSED_S = 5.0

Found = TypeVar("Found", bound=Outcome)


class OwnLine(Line, Protocol):
    """A line on which a caller may also ask for itself."""

    def ask(
        self, parts: Sequence[Part], call: CallTerms, told: Callable[[], None] | None = None
    ) -> Iterable[AnswerBlock]: ...


class Sharing:
    """Belongs to the process and the link that made it."""

    def __init__(
        self,
        line: OwnLine,
        company: Company = _COMPANY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.line = line
        self._clock = clock
        self._coalescer: Coalescer[Asked] = Coalescer(company)
        self._changed = threading.Condition()
        self._work: deque[Callable[[], None]] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False

    def preparing(self, n_rows: int = 0) -> Preparing:
        """Return a call of so many positions, to be prepared and asked while it is entered.

        Nobody waits for a large one.
        """
        return Preparing(self, is_awaited=n_rows <= _LARGEST_SHARED)

    def began(self) -> None:
        with self._changed:
            self._coalescer.began()

    def ended(self) -> None:
        """What others waited for is over."""
        with self._changed:
            self._coalescer.arrived()
            if self._coalescer.next_at() is not None:
                self._wake()

    def joins(self, asked: Asked) -> bool:
        """Take in what was being prepared; returns whether it is answered in company.

        Where there is none it is to go at once, by itself, and is under way until it has `ended`.
        """
        with self._changed:
            self._coalescer.arrived()
            if self._closed:
                raise _closed()
            block = self._coalescer.add(kind_of(asked.call), asked, self._clock(), asked.size)
            if block is not None and len(block) == 1:
                return False
            if block is not None:
                self._work.append(partial(self._send, block))
            self._wake()
            return True

    def close(self) -> None:
        """End the thread; whoever still waits gets a `TransportError`."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=_CLOSED_S)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="risk-tasks-sharing", daemon=True
            )
            self._thread.start()
        self._changed.notify()

    def _run(self) -> None:
        while (piece := self._next()) is not None:
            piece()

    def _next(self) -> Callable[[], None] | None:
        """Wait for the next piece of work; None where there will be none."""
        with self._changed:
            while True:
                now = float("inf") if self._closed else self._clock()
                for _, block in self._coalescer.due(now):
                    self._work.append(partial(self._send, block))
                if self._work:
                    return self._work.popleft()
                if self._closed:
                    return None
                at = self._coalescer.next_at()
                self._changed.wait(None if at is None else at - now)

    def _send(self, block: list[Asked]) -> None:
        try:
            Group(self.line, block, self._answered).send()
        finally:
            self.ended()

    def _answered(self, group: Group) -> None:
        with self._changed:
            self._work.append(group.tell)
            self._wake()


class Preparing:
    """A call between its arguments and its answer."""

    def __init__(self, sharing: Sharing, *, is_awaited: bool) -> None:
        self._sharing = sharing
        self._line = sharing.line
        self._is_awaited = is_awaited

    def __enter__(self) -> Self:
        if self._is_awaited:
            self._sharing.began()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def ask(
        self,
        parts: Sequence[Part],
        call: CallTerms,
        shape: Callable[[pa.StringArray, Iterable[AnswerBlock]], Found],
    ) -> Found:
        """Return the answers to `parts`, alone or in company; raises as `Link.ask` does."""
        asked = self._asked(parts, call, shape)
        if asked is not None:
            self._is_awaited = False
            if self._sharing.joins(asked):
                return self._await(asked, parts, shape)
            self._is_awaited = True
        return self._alone(parts, call, shape)

    def _asked(
        self,
        parts: Sequence[Part],
        call: CallTerms,
        shape: Callable[[pa.StringArray, Iterable[AnswerBlock]], Found],
    ) -> Asked | None:
        """Return what may share a request; urgent ones do not wait for others."""
        (request, stamp), *others = parts
        asked = Asked(request, call, shape, time.monotonic() + call.timeout_s)
        as_called = not others and stamp == call.stamp and request.terms is call.terms
        fits = len(request) and asked.size <= _LARGEST_SHARED
        is_shared = self._is_awaited and as_called and fits and call.lane is not Lane.CRITICAL
        return asked if is_shared else None

    def _await(
        self,
        asked: Asked,
        parts: Sequence[Part],
        shape: Callable[[pa.StringArray, Iterable[AnswerBlock]], Found],
    ) -> Found:
        try:
            told = asked.told.result(timeout=max(0.0, asked.until - time.monotonic()))
        except FutureTimeoutError:
            raise unanswered(asked.call, asked.check_id or "") from None
        finally:
            asked.leave()
        if not isinstance(told, Alone):
            return cast("Found", told)
        left_s = asked.until - time.monotonic()
        if left_s <= 0:
            raise told.error
        return self._alone(parts, replace(asked.call, timeout_s=left_s), shape)

    def _alone(
        self,
        parts: Sequence[Part],
        call: CallTerms,
        shape: Callable[[pa.StringArray, Iterable[AnswerBlock]], Found],
    ) -> Found:
        n_rows = sum(len(request.quantity) for request, _ in parts)
        answers = self._line.ask(parts, call, self._end)
        if n_rows < LONG_ROWS:
            # That of a long one is made as its answers come.
            answers = list(answers)
        with self._line.turns.of(n_rows):
            ids = pa.concat_arrays([request.portfolio_ids for request, _ in parts])
            return shape(ids, answers)

    def _end(self) -> None:
        if self._is_awaited:
            self._is_awaited = False
            self._sharing.ended()


def _closed() -> TransportError:
    return TransportError("The client was closed.", remedy="Make a new one.")
