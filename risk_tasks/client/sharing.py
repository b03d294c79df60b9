"""Calls of several threads that share a request.

A call goes at once where no other of its client is being prepared or sent. Those that come
meanwhile gather by kind, and go as one when that is over, or when the first has waited long enough.
A thread of the client's own sends and answers for them, so that no caller works for another: each
waits for itself, in its own time, and takes its own rows.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Protocol, Self, TypeVar, cast

import pyarrow as pa

from risk_tasks.client.answers import Outcome
from risk_tasks.client.coalescing import Coalescer, Company
from risk_tasks.client.groups import Alone, Asked, Group, Line
from risk_tasks.client.options import CallTerms, kind_of, unanswered
from risk_tasks.client.partitioning import Part
from risk_tasks.client.turns import LONG_ROWS
from risk_tasks.errors import TransportError
from risk_tasks.lanes import Priority
from risk_tasks.wire.answer import AnswerBlock

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
        is_shared = self._is_awaited and as_called and fits and call.lane is not Priority.CRITICAL
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
