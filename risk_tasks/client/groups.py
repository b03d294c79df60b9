"""Calls that go as one request: sent, answered, and told each its own rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any, Protocol

import pyarrow as pa

from risk_tasks.client.answers import Outcome
from risk_tasks.client.check_ids import CheckId
from risk_tasks.client.joining import join
from risk_tasks.client.options import CallTerms
from risk_tasks.client.partitioning import Part, PlacedPart
from risk_tasks.client.turns import Turns
from risk_tasks.errors import (
    DeadLetterError,
    QueueFullError,
    QuotaExceededError,
    ReportTimeoutError,
    RiskTasksError,
)
from risk_tasks.wire.answer import AnswerBlock
from risk_tasks.wire.request import RequestBlock

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
