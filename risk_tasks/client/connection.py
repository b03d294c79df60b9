"""The connections of a client in one process: sending blocks and reading their answers."""

from __future__ import annotations

import itertools
import logging
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import pyarrow as pa
import redis
from tenacity import Retrying, retry_if_exception_type, wait_fixed

from risk_tasks.broker.blocks import BlockBroker, StampRequest
from risk_tasks.broker.envelope import block_summary
from risk_tasks.client.answers import Decode, Result
from risk_tasks.client.check_ids import CheckId
from risk_tasks.client.options import CallOptions
from risk_tasks.client.partitioning import Block, BlockSizer, Partition, ShardRouter, partition
from risk_tasks.client.replies import ReplyReader
from risk_tasks.client.table_input import LONG_ROWS
from risk_tasks.connection import connect, giving_up_at
from risk_tasks.errors import QueueFullError, QuotaExceededError, ReportTimeoutError
from risk_tasks.keys import COUNTERS_KEY
from risk_tasks.queues import SLOW_CRITICAL_S, Lane
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.store.published import LimitStore, MarketStore
from risk_tasks.store.results import ResultStore
from risk_tasks.store.shards import ShardStore
from risk_tasks.wire.answer import AnswerBlock, decode_answer
from risk_tasks.wire.request import RequestBlock, encode_request

#: the pause of a call that waits for room in its lane
_ROOM_PAUSE_S = 0.02

log = logging.getLogger("risk_tasks")


@dataclass(frozen=True, slots=True)
class SentCall:
    """A call whose blocks go to their lane, and the futures of the answers that it waits for."""

    check_id: CheckId
    request: RequestBlock
    options: CallOptions
    partition: Partition
    futures: Sequence[Future[bytes]]
    started: float

    @property
    def portfolio_ids(self) -> pa.StringArray:
        """The ids in the order of the blocks."""
        if self.partition.order is None:
            return self.request.portfolio_ids
        return pa.concat_arrays([one.request.portfolio_ids for one in self.partition.blocks])


class Connection:
    """Belongs to the process that made it; a fork makes its own."""

    def __init__(
        self, url: str, quota_name: str, *, replicas_required: int, timeout_s: float
    ) -> None:
        self._quota_name = quota_name
        self._client = connect(url, replicas_required=replicas_required, failover_s=timeout_s)
        self._reply_client = connect(url, socket_timeout_s=5.0, n_retries=0)
        self._client_id = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._cpu_lock = threading.Lock()
        self._broker = BlockBroker(self._client)
        self._sizer = BlockSizer()
        self._router = ShardRouter(ShardStore(self._client))
        self._replies = ReplyReader(self._reply_client, self._client_id)
        self.markets = MarketStore(self._client)
        self.limits = LimitStore(self._client)
        self.results = ResultStore(self._client)
        self.portfolios = PortfolioStore(self._client)

    def cpu_lock(self, n_positions: int) -> AbstractContextManager[object]:
        """Return the lock for work on `n_positions`; no lock from `LONG_ROWS` on.

        Arrow and NumPy release the interpreter at every call. Threads that each make many short
        calls would spend more time on taking it again than on their work; long calls run in
        parallel.
        """
        return self._cpu_lock if n_positions < LONG_ROWS else nullcontext()

    def request(
        self,
        request: RequestBlock,
        limit_sets: pa.StringArray | None,
        options: CallOptions,
        decode: Decode[Result],
    ) -> Result:
        """Send a request and return the decoded answers; raises as `send` and `receive` do."""
        return self.receive(self.send(request, options, limit_sets, keep_order=False), decode)

    def send(
        self,
        request: RequestBlock,
        options: CallOptions,
        limit_sets: pa.StringArray | None = None,
        *,
        wait_for_room: bool = True,
        keep_order: bool = True,
    ) -> SentCall:
        """Enqueue the blocks of a request; `forget` ends the futures of their answers.

        `wait_for_room` lets later blocks wait until earlier ones have left the lane. With
        `keep_order` the rows of the blocks are those of `request`, so that the id of the call with
        a range of rows names some of them. Raises `QueueFullError`, `QuotaExceededError` or
        `TransportError`.
        """
        started = time.monotonic()
        parts = self._partition(request, options, limit_sets, keep_order=keep_order)
        check_id = self._next_id(parts)
        futures = [self._replies.expect(block_id) for block_id in check_id.block_ids()]
        sent = SentCall(check_id, request, options, parts, futures, started)
        try:
            self._enqueue(sent, self._client_id, wait_for_room=wait_for_room)
        except BaseException:
            self.forget(sent)
            raise
        return sent

    def receive(self, sent: SentCall, decode: Decode[Result]) -> Result:
        """Wait for the answers and return them decoded; raises as `read` does, or at the timeout.

        The answers of a long call are decoded while they arrive.
        """
        n_positions = len(sent.request.quantity)
        answers: Iterable[AnswerBlock] = self._answers(sent)
        if n_positions < LONG_ROWS:
            answers = list(answers)
        with self.cpu_lock(n_positions):
            return decode(sent.portfolio_ids, answers, sent.partition.order)

    def read(self, sent: SentCall, payloads: Sequence[bytes]) -> list[AnswerBlock]:
        """Return the answers in `payloads`, one per block.

        Raises `DeadLetterError`, `ReportTimeoutError` for a block that no worker started in time,
        and `RiskTasksError` for a worker that failed.
        """
        answers = [
            decode_answer(payload, str(sent.check_id), block_id)
            for block_id, payload in zip(sent.check_id.block_ids(), payloads, strict=True)
        ]
        self._learn(sent, answers)
        return answers

    def forget(self, sent: SentCall) -> None:
        """Stop waiting for the answers."""
        for block_id in sent.check_id.block_ids():
            self._replies.forget(block_id)

    def submit(self, request: RequestBlock, options: CallOptions) -> CheckId:
        """Enqueue a request and return the id by which its answers are read."""
        started = time.monotonic()
        parts = self._partition(request, options, None, keep_order=True)
        sent = SentCall(self._next_id(parts), request, options, parts, (), started)
        self._enqueue(sent, "", wait_for_room=False)
        return sent.check_id

    def close(self) -> None:
        self._replies.close()
        self._client.close()
        self._reply_client.close()

    def _answers(self, sent: SentCall) -> Iterator[AnswerBlock]:
        """Yield the answers in the order of the blocks, as they arrive."""
        give_up_at = sent.started + sent.options.timeout_s
        n_positions = len(sent.request.quantity)
        answers = []
        try:
            for block_id, future in zip(sent.check_id.block_ids(), sent.futures, strict=True):
                try:
                    payload = future.result(timeout=max(0.0, give_up_at - time.monotonic()))
                except TimeoutError:
                    raise timeout_error(sent.options, sent.check_id) from None
                with self.cpu_lock(n_positions):
                    answers.append(decode_answer(payload, str(sent.check_id), block_id))
                yield answers[-1]
        finally:
            self.forget(sent)
        self._learn(sent, answers)

    def _learn(self, sent: SentCall, answers: Sequence[AnswerBlock]) -> None:
        """Learn the cost of blocks, and log a critical call that was slow."""
        if len({block.stamp for block in sent.partition.blocks}) == 1:
            self._sizer.learn(sent.request, answers)
        if sent.options.lane is Lane.CRITICAL:
            self._log_slow(sent.check_id, time.monotonic() - sent.started, answers)

    def _partition(
        self,
        request: RequestBlock,
        options: CallOptions,
        limit_sets: pa.StringArray | None,
        *,
        keep_order: bool,
    ) -> Partition:
        return partition(
            request,
            options.stamp,
            self._sizer,
            self._router.owners(options.lane),
            limit_sets=limit_sets,
            keep_order=keep_order,
        )

    def _next_id(self, parts: Partition) -> CheckId:
        return CheckId(f"{self._client_id}.{next(self._numbers)}", len(parts.blocks))

    def _enqueue(self, call: SentCall, client_id: str, *, wait_for_room: bool) -> None:
        """Enqueue all blocks under one market, and under one version of each limit set.

        A call that is larger than its lane or its quota waits until its own blocks make room; one
        that is refused at its first block is refused at once. No block may start after the timeout
        of the call.
        """
        options, give_up_at = call.options, call.started + call.options.timeout_s
        market, versions = options.stamp.market, dict[StampRequest, str]()

        def enqueue(block_id: str, block: Block, payload: bytes) -> None:
            nonlocal market
            accepted = self._broker.enqueue(
                block_id,
                payload,
                client_id=client_id,
                lane=options.lane,
                n_checks=len(block.request),
                timeout_s=max(0.0, give_up_at - time.monotonic()),
                stamp=replace(
                    block.stamp,
                    market=market,
                    limits=versions.get(block.stamp, block.stamp.limits),
                ),
                quota_name=self._quota_name,
                summary=block_summary(options.lane, block.request.portfolio_ids),
                shard=block.shard,
            )
            self._router.set_n_shards(self._broker.n_shards)
            market, versions[block.stamp] = accepted.market_id, accepted.limits_version

        enqueue_next = enqueue_later = enqueue
        if wait_for_room and call.check_id.n_blocks > 1:
            enqueue_later = _retry_while_full(give_up_at).wraps(enqueue)
        for block_id, block in zip(call.check_id.block_ids(), call.partition.blocks, strict=True):
            with self.cpu_lock(len(block.request.quantity)):
                payload = encode_request(block.request)
            with giving_up_at(give_up_at):
                enqueue_next(block_id, block, payload)
            enqueue_next = enqueue_later

    def _log_slow(self, check_id: CheckId, took_s: float, answers: Sequence[AnswerBlock]) -> None:
        """Log and count a critical call above the threshold, with where the time went."""
        if took_s <= SLOW_CRITICAL_S:
            return
        parts = {
            name: max((answer.head.timings.get(name, 0.0) for answer in answers), default=0.0)
            for name in ("queued_ms", "fetch_ms", "compute_ms")
        }
        # While the server stood still, the same time counts as queued and as fetched.
        parts["reply_ms"] = max(0.0, took_s * 1e3 - sum(parts.values()))
        where = " ".join(f"{name}={ms:.3f}" for name, ms in parts.items())
        log.warning("critical.slow check=%s total_ms=%.3f %s", check_id, took_s * 1e3, where)
        try:
            self._client.hincrby(COUNTERS_KEY, "slow_critical", 1)
        except redis.RedisError as error:
            log.warning("critical.slow was not counted: %s", error)


def timeout_error(options: CallOptions, check_id: CheckId | str) -> ReportTimeoutError:
    """Return the error of a call without an answer at its timeout."""
    return ReportTimeoutError(
        f"No report within {options.timeout_s:g} s in the {options.lane.value} lane.",
        check_id=str(check_id),
    )


def _retry_while_full(give_up_at: float) -> Retrying:
    return Retrying(
        retry=retry_if_exception_type((QueueFullError, QuotaExceededError)),
        wait=wait_fixed(_ROOM_PAUSE_S),
        stop=lambda _: time.monotonic() + _ROOM_PAUSE_S > give_up_at,
        reraise=True,
    )
