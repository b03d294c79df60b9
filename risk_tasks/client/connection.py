"""What a client has open in one process: connections, a name of its own, a reply list."""

from __future__ import annotations

import itertools
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from itertools import islice

import redis
from tenacity import Retrying, retry_if_exception_type, wait_fixed

from risk_tasks.broker.blocks import BlockBroker, StampRequest
from risk_tasks.broker.envelope import block_summary
from risk_tasks.client.check_ids import CheckId
from risk_tasks.client.coalescing import SentCall, Sharing, Turns
from risk_tasks.client.options import CallTerms, unanswered
from risk_tasks.client.partitioning import Pace, Part, PlacedPart, Routing, place
from risk_tasks.client.replies import ReplyReader
from risk_tasks.connection import connect
from risk_tasks.errors import InvalidPortfolioError, QueueFullError, QuotaExceededError
from risk_tasks.keys import COUNTERS_KEY
from risk_tasks.model.live import CriticalEvent, LiveReport
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.queues import SLOW_CRITICAL_S, Lane
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.store.published import LimitStore, MarketStore
from risk_tasks.store.results import ResultStore
from risk_tasks.store.shards import ShardStore
from risk_tasks.wire.answer import AnswerBlock, decode_answer
from risk_tasks.wire.documents import (
    read_deltas,
    read_event_id,
    read_event_portfolios,
    read_portfolio_id,
    read_reason,
)
from risk_tasks.wire.request import encode_request


class LiveDoor:
    """Sets, changes and reads live portfolios over the connections of one process."""

    def __init__(self, client: redis.Redis) -> None:
        self._portfolios = PortfolioStore(client)

    def set(self, portfolio: Portfolio, event_id: str | None) -> int:
        if not isinstance(portfolio, Portfolio):
            raise InvalidPortfolioError(
                f"{type(portfolio).__name__} is not a Portfolio.", field="portfolio"
            )
        return self._portfolios.set(portfolio, _event(event_id))

    def change(self, portfolio_id: str, deltas: Mapping[str, float], event_id: str | None) -> int:
        return self._portfolios.change(
            read_portfolio_id(portfolio_id), read_deltas(deltas), _event(event_id)
        )

    def get(self, portfolio_id: str) -> Portfolio:
        return self._portfolios.get(read_portfolio_id(portfolio_id))

    def get_many(self, portfolio_ids: Sequence[str]) -> Sequence[Portfolio | None]:
        return self._portfolios.get_many(portfolio_ids)

    def remove(self, portfolio_id: str) -> int:
        return self._portfolios.remove(read_portfolio_id(portfolio_id))

    def critical_event(
        self, reason: str, portfolio_ids: Iterable[str] | None, event_id: str | None
    ) -> CriticalEvent:
        return self._portfolios.critical_event(
            read_reason(reason), read_event_portfolios(portfolio_ids), _event(event_id)
        )

    def report(self, portfolio_id: str) -> LiveReport | None:
        return self._portfolios.report(read_portfolio_id(portfolio_id))


def _event(event_id: str | None) -> str | None:
    return None if event_id is None else read_event_id(event_id, "")


#: how soon a call that waits for room looks again
_ROOM_S = 0.02

log = logging.getLogger("risk_tasks")


class Link:
    """Belongs to the process that made it; a fork makes its own."""

    def __init__(self, url: str, quota_name: str) -> None:
        self._quota_name = quota_name
        self._client = connect(url)
        self._reply_client = connect(url, socket_timeout_s=5.0, n_retries=0)
        self._client_id = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._broker = BlockBroker(self._client)
        self._pace = Pace()
        self.turns = Turns()
        self.sharing = Sharing(self)
        self._routing = Routing(ShardStore(self._client))
        self._replies = ReplyReader(self._reply_client, self._client_id)
        self.markets = MarketStore(self._client)
        self.limits = LimitStore(self._client)
        self.results = ResultStore(self._client)
        self.live = LiveDoor(self._client)

    def ask(
        self, parts: Sequence[Part], call: CallTerms, told: Callable[[], None] | None = None
    ) -> Iterator[AnswerBlock]:
        """Send `parts` in blocks under one market and yield their answers in order, as they come.

        `told` is called once they are sent. Raises `TransportError`, `QueueFullError` or, past the
        time-out, `ReportTimeoutError`.
        """
        sent = self.send(parts, call, in_order=False)
        if told is not None:
            told()
        n_rows = sum(len(part.quantity) for part, _ in parts)
        answers: list[AnswerBlock] = []
        waited = zip(sent.check_id.block_ids(), sent.futures, strict=True)
        try:
            for part in sent.parts:
                start = len(answers)
                for block_id, future in islice(waited, len(part.blocks)):
                    answer = _await(future, sent, call)
                    with self.turns.of(n_rows):
                        answers.append(decode_answer(answer, str(sent.check_id), block_id))
                    if part.order is None:
                        yield answers[-1]
                if part.order is not None:
                    yield from part.restore(answers[start:])
        finally:
            self.forget(sent)
        self._note(parts, call, sent, answers)

    def send(
        self,
        parts: Sequence[Part],
        call: CallTerms,
        *,
        patient: bool = True,
        in_order: bool = True,
    ) -> SentCall:
        """Enqueue `parts` and return the futures of their answers, which `forget` ends.

        One that is not `patient` is refused where there is no room for all of it. `in_order`, rows
        stand in its blocks as in `parts`, so that one of them may be read by the id of the call.
        """
        started = time.monotonic()
        placed = self._place(parts, call.lane, in_order=in_order)
        check_id = self._check_id(placed)
        futures = [self._replies.expect(one) for one in check_id.block_ids()]
        sent = SentCall(check_id, started, futures, placed)
        try:
            self._enqueue(placed, check_id, call, self._client_id, patient=patient)
        except BaseException:
            self.forget(sent)
            raise
        return sent

    def forget(self, sent: SentCall) -> None:
        for block_id in sent.check_id.block_ids():
            self._replies.forget(block_id)

    def read(
        self, parts: Sequence[Part], call: CallTerms, sent: SentCall, found: Sequence[bytes]
    ) -> list[AnswerBlock]:
        """Return the answers to what was sent, which were all `found`; raises what they say."""
        answers = [
            decode_answer(answer, str(sent.check_id), block_id)
            for block_id, answer in zip(sent.check_id.block_ids(), found, strict=True)
        ]
        self._note(parts, call, sent, answers)
        left = iter(answers)
        return [
            answer
            for part in sent.parts
            for answer in part.restore(list(islice(left, len(part.blocks))))
        ]

    def _note(
        self,
        parts: Sequence[Part],
        call: CallTerms,
        sent: SentCall,
        answers: Sequence[AnswerBlock],
    ) -> None:
        """Learn from the times in the answers of a call; tell of a critical one that was slow."""
        if len(parts) == 1:
            self._pace.learn(parts[0][0], answers)
        if call.lane is Lane.CRITICAL:
            self._judge(sent.check_id, time.monotonic() - sent.started, answers)

    def submit(self, parts: Sequence[Part], call: CallTerms) -> CheckId:
        """Send `parts` as `ask` does and return the id that their answers are read by."""
        # Whoever reads the answers by their id knows of no other order.
        placed = self._place(parts, call.lane, in_order=True)
        check_id = self._check_id(placed)
        self._enqueue(placed, check_id, call, "", patient=False)
        return check_id

    def close(self) -> None:
        self._replies.close()
        self.sharing.close()
        self._client.close()
        self._reply_client.close()

    def _place(self, parts: Sequence[Part], lane: Lane, *, in_order: bool) -> list[PlacedPart]:
        owners = self._routing.owners(lane)
        return [place(part, self._pace, owners, in_order=in_order) for part in parts]

    def _check_id(self, placed: Sequence[PlacedPart]) -> CheckId:
        n_blocks = sum(len(part.blocks) for part in placed)
        return CheckId(f"{self._client_id}.{next(self._numbers)}", n_blocks)

    def _enqueue(
        self,
        placed: Sequence[PlacedPart],
        check_id: CheckId,
        call: CallTerms,
        client_id: str,
        *,
        patient: bool,
    ) -> None:
        """Enqueue the blocks of one call under one market, and one version of each limit set.

        A call that is larger than its lane, or than its client's quota, waits for its own blocks
        to make room, while it has time; one that is refused at its first block is refused at once.
        """
        market, versions = call.stamp.market, dict[StampRequest, str]()
        enqueue = patiently = self._broker.enqueue
        if patient and check_id.n_blocks > 1:
            patiently = _while_full(time.monotonic() + call.timeout_s).wraps(enqueue)
        blocks = (
            (part.stamp, block, shard)
            for part in placed
            for block, shard in zip(part.blocks, part.shards, strict=True)
        )
        for block_id, (wanted, block, shard) in zip(check_id.block_ids(), blocks, strict=True):
            limits = versions.get(wanted, wanted.limits)
            with self.turns.of(len(block.quantity)):
                payload = encode_request(block)
            given = enqueue(
                block_id,
                payload,
                client_id=client_id,
                lane=call.lane,
                n_checks=len(block),
                timeout_s=call.timeout_s,
                stamp=replace(wanted, market=market, limits=limits),
                quota_name=self._quota_name,
                summary=block_summary(call.lane, block.portfolio_ids),
                shard=shard,
            )
            self._routing.told(self._broker.n_shards)
            market, versions[wanted] = given.market_id, given.limits_version
            enqueue = patiently

    def _judge(self, check_id: CheckId, took_s: float, answers: Sequence[AnswerBlock]) -> None:
        """Log and count a critical check that took too long, with where the time went."""
        if took_s <= SLOW_CRITICAL_S:
            return
        parts = {
            name: max((answer.head.timings.get(name, 0.0) for answer in answers), default=0.0)
            for name in ("queued_ms", "fetch_ms", "compute_ms")
        }
        # Where the server stood still, the same moments were queued and fetched.
        parts["reply_ms"] = max(0.0, took_s * 1e3 - sum(parts.values()))
        where = " ".join(f"{name}={ms:.3f}" for name, ms in parts.items())
        log.warning("critical.slow check=%s total_ms=%.3f %s", check_id, took_s * 1e3, where)
        try:
            self._client.hincrby(COUNTERS_KEY, "slow_critical", 1)
        except redis.RedisError as error:
            log.warning("critical.slow was not counted: %s", error)


def _while_full(give_up_at: float) -> Retrying:
    return Retrying(
        retry=retry_if_exception_type((QueueFullError, QuotaExceededError)),
        wait=wait_fixed(_ROOM_S),
        stop=lambda _: time.monotonic() + _ROOM_S > give_up_at,
        reraise=True,
    )


def _await(future: Future[bytes], sent: SentCall, call: CallTerms) -> bytes:
    try:
        return future.result(timeout=max(0.0, sent.started + call.timeout_s - time.monotonic()))
    except FutureTimeoutError:
        raise unanswered(call, sent.check_id) from None
