"""Recomputing of live portfolios: what changed is collected, what failed is tried again."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from risk_tasks.broker.blocks import BlockBroker, IfMissing, StampRequest
from risk_tasks.broker.dead_letters import DeadLetters
from risk_tasks.broker.envelope import block_summary, handing_message
from risk_tasks.errors import DeadLetterError, TransportError
from risk_tasks.keys import DEFAULT_NAME
from risk_tasks.model.live import standings
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.report import Decision, ReportError, ReportStatus, RiskReport
from risk_tasks.queues import Lane
from risk_tasks.store.published import LimitStore
from risk_tasks.store.recompute import Finding, RecomputingStore, Turn
from risk_tasks.wire.documents import report_document
from risk_tasks.wire.request import Detail, Terms, TurnMark, encode_request, pack_portfolios

log = structlog.get_logger("risk_tasks")

#: how long one waits for a portfolio to become dirty, and how often one looks what is due
_IDLE_S, _LOOK_S = 1.0, 0.02
#: outdated portfolios are taken while no more than so many blocks are underway
_REFRESHED_BLOCKS = 4
#: what a block holds at most, so that it is computed in about 10 ms
_MAX_POSITIONS = 20_000
#: a block that nobody began by then is not begun: its portfolios are taken again soon
_DEADLINE = 2 / 3

_STAMP = StampRequest(DEFAULT_NAME, DEFAULT_NAME, IfMissing.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePolicy:
    """When live portfolios are computed, and how many at once."""

    #: so many that are dirty are due, and make up a block
    batch_size: int = 50
    #: or one that has waited so long
    window_ms: int = 100
    #: how many portfolios a second follow a new market or limit set
    refresh_per_s: float = 5_000.0
    #: what was taken and not recorded for so long is taken again
    visibility_timeout_s: float = 15.0
    #: how often computing a portfolio is begun before it is given up
    max_attempts: int = 3
    #: how many are taken and not recorded at once
    max_underway: int = 1_000


class LiveCollector:
    """Takes what is due and puts it on the batch lane; several may be at it.

    What cannot be put there stays underway until it is taken again.
    """

    def __init__(
        self,
        store: RecomputingStore,
        broker: BlockBroker,
        policy: LivePolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._broker = broker
        self._policy = policy
        self._clock = clock
        self._sleep = sleep
        self._terms = Terms(parse_measures(None), MeasureSettings(), detail=Detail.REPORTS)
        self._is_idle = True
        self._refresh_at_s = 0.0

    def step(self) -> None:
        """Take once, after waiting where nothing was due: never much longer than a second."""
        if self._is_idle:
            self._store.await_dirty(_IDLE_S)
        policy, now_s = self._policy, self._clock()
        # Idle again unless what follows says otherwise, so that an error leads to no haste.
        self._is_idle = True
        taken = self._store.take(
            most=policy.batch_size,
            wait_ms=policy.window_ms,
            max_underway=policy.max_underway,
            max_refreshed=_REFRESHED_BLOCKS * policy.batch_size
            if now_s >= self._refresh_at_s
            else 0,
        )
        if taken.why == "outdated":
            self._refresh_at_s = now_s + len(taken.turns) / policy.refresh_per_s
        for turns in blocks_of(taken.turns):
            self._send(turns)
        self._is_idle = not taken.turns and taken.due_ms is None
        if not taken.turns and taken.due_ms is not None:
            paced_s = self._refresh_at_s - now_s
            self._sleep(min(_LOOK_S, taken.due_ms / 1e3, *([paced_s] if paced_s > 0 else [])))

    def _send(self, turns: Sequence[Turn]) -> None:
        portfolios = [turn.portfolio for turn in turns]
        marks = [TurnMark(turn.version, turn.number) for turn in turns]
        lane = Lane.BATCH
        try:
            self._broker.enqueue(
                f"live-{uuid.uuid4().hex}",
                encode_request(pack_portfolios(portfolios, self._terms, marks)),
                client_id="",
                lane=lane,
                n_checks=len(turns),
                timeout_s=self._policy.visibility_timeout_s * _DEADLINE,
                stamp=_STAMP,
                summary=block_summary(lane.value, [portfolio.id for portfolio in portfolios]),
                keeps_answer=False,
            )
        except TransportError as error:
            log.warning("live.not_sent", portfolios=len(turns), error=str(error))


def blocks_of(turns: Sequence[Turn]) -> Iterator[Sequence[Turn]]:
    """Cut `turns` into blocks: one that was begun before and never recorded goes alone.

    So a portfolio that fails, fails alone. The others share blocks, within a bound of positions.
    """
    block: list[Turn] = []
    n_positions = 0
    for turn in turns:
        if turn.attempts:
            yield [turn]
            continue
        n_held = len(turn.portfolio.positions)
        if block and n_positions + n_held > _MAX_POSITIONS:
            yield block
            block, n_positions = [], 0
        block.append(turn)
        n_positions += n_held
    if block:
        yield block


class LiveRetry:
    """Looks for live portfolios that have been underway too long; several may be at it."""

    def __init__(
        self,
        store: RecomputingStore,
        limits: LimitStore,
        letters: DeadLetters,
        policy: LivePolicy,
    ) -> None:
        self._store = store
        self._limits = limits
        self._letters = letters
        self._policy = policy

    def look(self) -> int:
        """Have them taken again; returns how many were given up.

        Of those none of their limits is evaluated any more, until they change, the market does, or
        their dead letter is replayed.
        """
        given_up = self._store.retrigger(
            after_s=self._policy.visibility_timeout_s, max_attempts=self._policy.max_attempts
        )
        for turn in given_up:
            self._give_up(turn)
        return len(given_up)

    def _give_up(self, turn: Turn) -> None:
        portfolio = turn.portfolio
        letter_id = self._letters.give_up(
            portfolio.id, turn.version, attempts=turn.attempts, lane=Lane.BATCH.value
        )
        version = self._limits.current().get(DEFAULT_NAME)
        limits = (
            self._limits.load(version).applying(portfolio.id, portfolio.tags) if version else ()
        )
        error = DeadLetterError(check_id=letter_id, letter_id=letter_id)
        report = RiskReport(
            portfolio_id=portfolio.id,
            market_id=None,
            limits_version=version,
            as_of=None,
            status=ReportStatus.ERROR,
            decision=Decision.REJECT,
            error=ReportError(code=error.code, message=error.message, remedy=error.remedy),
        )
        found = Finding(
            *(portfolio.id, turn.version, turn.number),
            msgspec.json.encode(report_document(report)),
            standings(report, limits),
        )
        self._store.record_all([found], handing_message())
        log.warning("live.given_up", portfolio=portfolio.id, attempts=turn.attempts)
