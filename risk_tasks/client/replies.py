"""Waiting for answers: from the reply list, or by the id of a check."""

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

_WAIT_S = 1.0
#: a thread that sleeps between two calls costs the second one its waking
_LINGER_S = 0.1
_SEEN_EVERY_S = CLIENT_GONE_S / 4
_RECONNECT_S = 0.2
#: answers that were read and stand on the server still
_MAX_READ = 32


class ReplyReader:
    """Hands each answer to the future that waits for it.

    A reply is the id of a block, and its answer where that is small. Every answer stands under a
    key of its own until it is read, so that one lost on a broken connection is read again after it
    is back.
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
        """Return the future of a block that is about to be enqueued.

        Raises `TransportError` where the client was closed meanwhile: nobody would set it.
        """
        future: Future[bytes] = Future()
        # From here on it cannot be cancelled, so that the reading thread may always set it.
        future.set_running_or_notify_cancel()
        with self._changed:
            if self._closed:
                raise TransportError("The client was closed.", remedy="Make a new one.")
            self._waiting[block_id] = future
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._read, name="risk-tasks-replies", daemon=True
                )
                self._thread.start()
            self._changed.notify()
        return future

    def forget(self, block_id: str) -> None:
        """Stop waiting for a block; its answer is left under its key."""
        with self._changed:
            self._waiting.pop(block_id, None)

    def close(self) -> None:
        """End the thread; whoever still waits gets a `TransportError`."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = list(self._waiting.values()), {}
            self._changed.notify()
        for future in waiting:
            future.set_exception(TransportError("The client was closed.", remedy="Make a new one."))
        if self._thread is not None:
            self._thread.join(timeout=_WAIT_S + 1.0)

    def _read(self) -> None:
        seen_at, lost = 0.0, False
        while self._await_work():
            try:
                if time.monotonic() - seen_at > _SEEN_EVERY_S:
                    self._say_seen()
                    seen_at = time.monotonic()
                if lost:
                    self._collect(self._outstanding())
                    lost = False
                self._read_once()
            except redis.RedisError:
                lost = True
                time.sleep(_RECONNECT_S)
        with suppress(redis.RedisError):
            self._drop_read()

    def _await_work(self) -> bool:
        with self._changed:
            if not self._waiting and time.monotonic() - self._busy_at > _LINGER_S:
                self._changed.wait_for(lambda: self._waiting or self._closed)
            return not self._closed

    def _read_once(self) -> None:
        """Wait for an answer and hand it out; then what else has come, if more is awaited."""
        wait_s = _WAIT_S if self._waiting else _LINGER_S
        key = reply_key(self._client_id)
        first = cast("list[bytes] | None", self._client.blpop([key], wait_s))
        if first is None:
            self._drop_read()
            return
        self._busy_at = time.monotonic()
        self._hand_out([first[1]])
        if self._waiting:
            more = cast("list[bytes] | None", self._client.lpop(key, 100))
            self._hand_out(more or [])
        if len(self._read_keys) >= _MAX_READ:
            self._drop_read()

    def _hand_out(self, replies: list[bytes]) -> None:
        parts = [reply.partition(b" ") for reply in replies]
        small = {text(block_id): answer for block_id, mark, answer in parts if mark}
        self._give(small)
        self._collect([text(block_id) for block_id, mark, _ in parts if not mark])

    def _outstanding(self) -> list[str]:
        with self._changed:
            return list(self._waiting)

    def _collect(self, block_ids: list[str]) -> None:
        """Fetch the answers of those that somebody waits for."""
        with self._changed:
            block_ids = [block_id for block_id in block_ids if block_id in self._waiting]
        if not block_ids:
            return
        answers = self._client.mget([result_key(block_id) for block_id in block_ids])
        found = zip(block_ids, cast("list[bytes | None]", answers), strict=True)
        self._give({block_id: answer for block_id, answer in found if answer is not None})
        self._drop_read()

    def _give(self, answers: Mapping[str, bytes]) -> None:
        """Wake whoever waits; another answer is left under its key for whoever asks by its id."""
        for block_id, answer in answers.items():
            with self._changed:
                future = self._waiting.pop(block_id, None)
            if future is not None:
                self._read_keys.append(result_key(block_id))
                future.set_result(answer)

    def _drop_read(self) -> None:
        """Remove what was read; small answers many at once, since nobody waits for that."""
        if self._read_keys:
            self._client.unlink(*self._read_keys)
            self._read_keys.clear()

    def _say_seen(self) -> None:
        seconds, micros = self._client.time()
        self._client.zadd(CLIENTS_KEY, {self._client_id: seconds * 1_000 + micros // 1_000})


_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.1


def await_results(store: ResultStore, check_id: CheckId, timeout_s: float) -> list[AnswerBlock]:
    """Return the answers of a call once all are there."""
    give_up_at = time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while True:
        block_ids = list(check_id.block_ids())
        found = store.load(block_ids)
        states = {state for state, _ in found}
        if ResultState.UNKNOWN in states:
            raise UnknownCheckError(f"Nothing is known of check {check_id}.", field="check_id")
        if ResultState.PENDING not in states:
            return [
                decode_answer(answer, str(check_id), block_id)
                for block_id, (_, answer) in zip(block_ids, found, strict=True)
            ]
        if time.monotonic() + pause_s > give_up_at:
            raise ReportTimeoutError(
                f"Check {check_id} is not answered yet.", check_id=str(check_id)
            )
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
