"""Replies: answers from the reply list of a client, and those that are stored under a check id."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import cast

import redis

from risk_tasks.client.check_ids import CheckId
from risk_tasks.connection import text
from risk_tasks.errors import ReportTimeoutError, TransportError, UnknownCheckError
from risk_tasks.keys import CLIENT_GONE_S, CLIENTS_KEY, reply_key, result_key
from risk_tasks.store.results import ResultState, ResultStore
from risk_tasks.wire.answer import AnswerBlock, decode_answer

#: one read of the reply list
_READ_TIMEOUT_S = 1.0
#: how long the thread reads on after an answer: waking it delays the next call
_LINGER_S = 0.1
_SEEN_EVERY_S = CLIENT_GONE_S / 4
_RECONNECT_S = 0.2
#: answers that were read and are not yet removed from the server
_MAX_READ = 32
#: by id: the first and the longest pause between two looks, and how many blocks one look loads
_FIRST_PAUSE_S, _MAX_PAUSE_S, _MAX_LOADED = 0.002, 0.1, 1_000


class ReplyReader:
    """Sets the futures of blocks when their answers arrive.

    A reply is the id of a block, followed by its answer if that is small. Every answer also has a
    key of its own until it is read: one that is lost with a connection is read again from there.
    """

    def __init__(self, client: redis.Redis, client_id: str) -> None:
        self._client = client
        self._client_id = client_id
        self._waiting: dict[str, Future[bytes]] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._busy_at = 0.0
        self._read_keys: list[str] = []
        self._thread: threading.Thread | None = None

    def expect(self, block_id: str) -> Future[bytes]:
        """Return the future of a block, before the block is enqueued.

        Raises `TransportError` if the client is closed, since nothing would set the future.
        """
        future: Future[bytes] = Future()
        # A running future cannot be cancelled, so that the reading thread can always set it.
        future.set_running_or_notify_cancel()
        with self._changed:
            if self._closed:
                raise closed_error()
            self._waiting[block_id] = future
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._read, name="risk-tasks-replies", daemon=True
                )
                self._thread.start()
            self._changed.notify()
        return future

    def forget(self, block_id: str) -> None:
        """Stop waiting for a block; its answer stays under its key."""
        with self._changed:
            self._waiting.pop(block_id, None)

    def close(self) -> None:
        """End the thread; waiting calls get a `TransportError`."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = list(self._waiting.values()), {}
            self._changed.notify()
        for future in waiting:
            future.set_exception(closed_error())
        if self._thread is not None:
            self._thread.join(timeout=_READ_TIMEOUT_S + 1.0)

    def _read(self) -> None:
        seen_at, lost = 0.0, False
        while self._await_work():
            try:
                if time.monotonic() - seen_at > _SEEN_EVERY_S:
                    self._report_seen()
                    seen_at = time.monotonic()
                if lost:
                    self._fetch(self._waiting_ids())
                    lost = False
                self._read_once()
            except redis.RedisError:
                lost = True
                time.sleep(_RECONNECT_S)
        with suppress(redis.RedisError):
            self._remove_read()

    def _await_work(self) -> bool:
        with self._changed:
            if not self._waiting and time.monotonic() - self._busy_at > _LINGER_S:
                self._changed.wait_for(lambda: self._waiting or self._closed)
            return not self._closed

    def _read_once(self) -> None:
        """Read one reply, and more if more blocks are waited for."""
        wait_s = _READ_TIMEOUT_S if self._waiting else _LINGER_S
        key = reply_key(self._client_id)
        first = cast("list[bytes] | None", self._client.blpop([key], wait_s))
        if first is None:
            self._remove_read()
            return
        self._busy_at = time.monotonic()
        self._deliver([first[1]])
        if self._waiting:
            more = cast("list[bytes] | None", self._client.lpop(key, 100))
            self._deliver(more or [])
        if len(self._read_keys) >= _MAX_READ:
            self._remove_read()

    def _deliver(self, replies: list[bytes]) -> None:
        parts = [reply.partition(b" ") for reply in replies]
        small = {text(block_id): answer for block_id, mark, answer in parts if mark}
        self._set(small)
        self._fetch([text(block_id) for block_id, mark, _ in parts if not mark])

    def _waiting_ids(self) -> list[str]:
        with self._changed:
            return list(self._waiting)

    def _fetch(self, block_ids: list[str]) -> None:
        """Fetch from their keys the answers that are waited for."""
        with self._changed:
            block_ids = [block_id for block_id in block_ids if block_id in self._waiting]
        if not block_ids:
            return
        answers = self._client.mget([result_key(block_id) for block_id in block_ids])
        found = zip(block_ids, cast("list[bytes | None]", answers), strict=True)
        self._set({block_id: answer for block_id, answer in found if answer is not None})
        self._remove_read()

    def _set(self, answers: Mapping[str, bytes]) -> None:
        """Set the futures of `answers`; an answer without one stays under its key, for `result`."""
        for block_id, answer in answers.items():
            with self._changed:
                future = self._waiting.pop(block_id, None)
            if future is not None:
                self._read_keys.append(result_key(block_id))
                future.set_result(answer)

    def _remove_read(self) -> None:
        """Remove the answers that were read, many at once: nothing waits for their removal."""
        if self._read_keys:
            self._client.unlink(*self._read_keys)
            self._read_keys.clear()

    def _report_seen(self) -> None:
        seconds, micros = self._client.time()
        self._client.zadd(CLIENTS_KEY, {self._client_id: seconds * 1_000 + micros // 1_000})


def await_results(store: ResultStore, check_id: CheckId, timeout_s: float) -> list[AnswerBlock]:
    """Return the answers of a call once all are stored.

    Raises `UnknownCheckError` for a block of which nothing is stored, `ReportTimeoutError` for one
    that is not answered in time, and otherwise as `decode_answer` does.
    """
    give_up_at = time.monotonic() + timeout_s
    block_ids, answers = list(check_id.block_ids()), list[AnswerBlock]()
    pause_s = _FIRST_PAUSE_S
    while len(answers) < len(block_ids):
        # Some at a time: an id may claim a million blocks.
        missing = block_ids[len(answers) : len(answers) + _MAX_LOADED]
        found = store.load(missing)
        if any(state is ResultState.UNKNOWN for state, _ in found):
            raise UnknownCheckError(f"Nothing is stored for check {check_id}.", field="check_id")
        for block_id, (state, payload) in zip(missing, found, strict=True):
            if state is ResultState.PENDING:
                break
            answers.append(decode_answer(payload, str(check_id), block_id))
        else:
            continue
        if time.monotonic() + pause_s > give_up_at:
            raise ReportTimeoutError(
                f"Check {check_id} is not answered yet.", check_id=str(check_id)
            )
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _MAX_PAUSE_S)
    return answers


def closed_error() -> TransportError:
    return TransportError("The client is closed.", remedy="Make a new one.")
