"""How a worker runs a message: a slot is freed after each error outside the body of the task."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from billiard.einfo import ExceptionInfo
from celery import Task
from celery.app.amqp import AMQP
from celery.concurrency.base import apply_target
from celery.concurrency.thread import ApplyResult, TaskPool
from celery.exceptions import Reject
from celery.worker.request import Request
from celery.worker.state import revoked, task_ready

from risk_tasks.broker.canvas import require_allowed, without_refused
from risk_tasks.errors import CallbackQueueError
from risk_tasks.log import log
from risk_tasks.queues import CHECK_BLOCK_TASK


class Slots:
    """The time at which each running message began; the watchdog reads it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began_s: dict[int, float] = {}

    def begin(self) -> None:
        with self._lock:
            self._began_s[threading.get_ident()] = time.monotonic()

    def end(self) -> None:
        with self._lock:
            self._began_s.pop(threading.get_ident(), None)

    def longest_s(self) -> float:
        """Return for how long the oldest message has run; 0 if none runs."""
        with self._lock:
            return time.monotonic() - min(self._began_s.values(), default=time.monotonic())

    def n_busy(self) -> int:
        with self._lock:
            return len(self._began_s)


class SlotPool(TaskPool):
    """Threads; an error outside the body of a task goes to its request instead of nowhere."""

    slots = Slots()

    def on_apply(
        self,
        target: Callable[..., Any],
        args: Any = None,
        kwargs: Any = None,
        callback: Any = None,
        accept_callback: Any = None,
        error_callback: Any = None,
        **_: Any,
    ) -> ApplyResult:
        def run() -> None:
            self.slots.begin()
            try:
                apply_target(target, args, kwargs, callback, accept_callback)
            except BaseException:  # also SystemExit would lose the slot
                error_callback(ExceptionInfo())
            finally:
                self.slots.end()

        return ApplyResult(self.executor.submit(run))


class ServedRequest(Request):
    """A request that is always ended, and expires by the clock of the server."""

    def on_failure(
        self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False
    ) -> None:
        if return_ok:  # the body raised, and the failure is stored
            super().on_failure(exc_info, send_failed_event, return_ok)
        else:
            self._end_outside_body(exc_info.exception)

    def maybe_expire(self) -> bool:
        if self.expires is None or self.app.now() <= self.expires:
            return False
        revoked.add(self.id)
        return True

    def revoked(self) -> bool:
        try:
            return bool(super().revoked())
        except Exception as error:
            self._end_outside_body(error)
            self._already_revoked = True
            return True

    def _end_outside_body(self, error: BaseException) -> None:
        cause = error.args[0] if isinstance(error, Reject) and error.args else error
        task_ready(self)
        # The ledger requeues blocks.
        is_block = self.name == CHECK_BLOCK_TASK
        log.error(
            "task.not_ended",
            task=self.name,
            id=self.id,
            cause=f"{type(cause).__name__}: {cause}",
            redelivered=not is_block,
        )
        if is_block:
            self.acknowledge()
        else:
            self.reject(requeue=True)


class CallbackTask(Task):
    """A task that other apps call: what follows it goes to allowed queues only."""

    abstract = True

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Raise `CallbackQueueError` before anything is computed."""
        request = self.request
        names = ("callbacks", "errbacks", "chain", "chord")
        embed = {name: found for name in names if (found := getattr(request, name, None))}
        if not embed:
            return
        allowed = self.app.conf.risk_callback_queues
        try:
            require_allowed(embed, allowed)
        except CallbackQueueError:
            # Celery sends the error to what is left here.
            request.callbacks = None
            request.errbacks = without_refused(request.errbacks, allowed)
            if request.chord and not without_refused([request.chord], allowed):
                options = {**request.chord["options"], "link_error": None}
                request.chord = {**request.chord, "options": options}
            raise


class CallbackAMQP(AMQP):
    """Raises `Reject` for a callback that cannot be sent: its task is redelivered."""

    def _retry_publish(self, publish: Any, *args: Any, **options: Any) -> Any:
        try:
            return super()._retry_publish(publish, *args, **options)
        except Exception as error:
            raise Reject(error, requeue=True) from error
