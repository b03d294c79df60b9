"""What a client has open in one process: connections, a name of its own, a reply list."""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace

from risk_tasks.broker.blocks import BlockBroker, StampRequest
from risk_tasks.client.cutting import BlockBounds, Part, cut
from risk_tasks.client.replies import ReplyReader
from risk_tasks.client.terms import CallTerms
from risk_tasks.connection import connect
from risk_tasks.errors import ReportTimeoutError
from risk_tasks.store.limits import LimitStore
from risk_tasks.store.markets import MarketStore
from risk_tasks.wire.answer import AnswerBlock, decode_answer
from risk_tasks.wire.request import RequestBlock, encode_request


class Link:
    """Belongs to the process that made it; a fork makes its own."""

    def __init__(self, url: str) -> None:
        self.pid = os.getpid()
        self._client = connect(url)
        self._reply_client = connect(url, socket_timeout_s=5.0, n_retries=0)
        self._client_id = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._broker = BlockBroker(self._client)
        self._replies = ReplyReader(self._reply_client, self._client_id)
        self.markets = MarketStore(self._client)
        self.limits = LimitStore(self._client)

    def ask(self, parts: Sequence[Part], call: CallTerms) -> list[AnswerBlock]:
        """Send `parts` in blocks under one market and return their answers in order.

        The first block is stamped at enqueue, and the others with what it was given.

        Raises `TransportError`, `QueueFullError` or, past the time-out, `ReportTimeoutError`.
        """
        give_up_at = time.monotonic() + call.timeout_s
        waiting: list[tuple[str, Future[bytes]]] = []
        try:
            market = call.stamp.market
            for request, wanted in parts:
                stamp = replace(wanted, market=market)
                for block in cut(request, BlockBounds()):
                    block_id = f"{self._client_id}.{next(self._numbers)}"
                    waiting.append((block_id, self._replies.expect(block_id)))
                    given = self._enqueue(block_id, block, call, stamp)
                    market, stamp = given.market, replace(given, if_missing=wanted.if_missing)
            return [decode_answer(_await(*one, give_up_at, call)) for one in waiting]
        finally:
            for block_id, _ in waiting:
                self._replies.forget(block_id)

    def _enqueue(
        self, block_id: str, block: RequestBlock, call: CallTerms, stamp: StampRequest
    ) -> StampRequest:
        return self._broker.enqueue(
            block_id,
            encode_request(block),
            client_id=self._client_id,
            lane=call.lane,
            n_checks=len(block),
            timeout_s=call.timeout_s,
            stamp=stamp,
        )

    def close(self) -> None:
        self._replies.close()
        self._client.close()
        self._reply_client.close()


def _await(block_id: str, future: Future[bytes], give_up_at: float, call: CallTerms) -> bytes:
    try:
        return future.result(timeout=max(0.0, give_up_at - time.monotonic()))
    except FutureTimeoutError:
        raise ReportTimeoutError(
            f"No report within {call.timeout_s:g} s in the {call.lane.value} lane.",
            check_id=block_id,
        ) from None
