"""The Celery tasks: they call the service, log, and record the times of each message."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from celery import Celery, Task
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from risk_tasks.broker.blocks import BlockBroker, StartedBlock
from risk_tasks.broker.redaction import (
    SummarisedChange,
    SummarisedEvent,
    SummarisedReport,
    SummarisedRequest,
)
from risk_tasks.broker.serving import CallbackTask, ServedRequest
from risk_tasks.errors import TransportError, WireError
from risk_tasks.log import log
from risk_tasks.metrics import BlockOutcome, BlockRecord, Record
from risk_tasks.model.report import ReportStatus
from risk_tasks.queues import (
    CHECK_BLOCK_TASK,
    CHECK_TASK,
    CRITICAL_EVENT_TASK,
    LANE_OF_KIND,
    LIMIT_BREACH_TASK,
    PORTFOLIO_UPDATE_TASK,
    POSITION_CHANGE_TASK,
    PREWARM_TASK,
    SWEEP_TASK,
    Lane,
)
from risk_tasks.service import DocumentService, PositionService, Prewarmer, Service
from risk_tasks.store.prewarm import PrewarmPolicy
from risk_tasks.upkeep.breach_dispatch import BreachDispatch
from risk_tasks.upkeep.ledger import sweep
from risk_tasks.wire.answer import AnswerBlock, encode_answer, encode_failure

Result = TypeVar("Result")

#: the wait before the first retry; each later wait is twice as long, up to a second
_FIRST_WAIT_S = 0.05
#: how long a call is retried at least
_RETRY_FOR_S = 60.0

_LANE_OF_QUEUE = {lane.queue: lane for lane in Lane}


def register(
    app: Celery,
    service: Service,
    documents: DocumentService,
    broker: BlockBroker,
    record_block: Record,
) -> None:
    """Register the tasks that answer checks, and the sweep."""

    @app.task(name=CHECK_BLOCK_TASK, bind=True, ignore_result=True, Request=ServedRequest)
    def check_block(self: Task[..., None]) -> None:
        block_id, worker = self.request.id, self.request.hostname
        fetching = time.perf_counter()
        block = _with_retry(lambda: broker.start(block_id, worker=worker))
        if block is None:
            log.info("block.not_started", block=block_id)
            return
        started = time.perf_counter()
        answer, data = _answer(service, block_id, block, started - fetching)
        # A full server may take the answer until the deadline of the block.
        finish_by_s = max(_RETRY_FOR_S, block.left_s)
        total_ms = _with_retry(lambda: broker.finish(block_id, data), for_s=finish_by_s)
        ended = time.perf_counter()
        record = _record(block, answer, started - fetching, ended - fetching, total_ms)
        record_block(record)
        _log(
            "block.finished",
            record,
            block=block_id,
            market=block.stamp.market_id,
            limits=block.stamp.limits_version,
            payload_bytes=len(block.payload),
        )

    @app.task(name=CHECK_TASK, base=CallbackTask, Request=SummarisedRequest)
    def check(*args: Any, **request: Any) -> SummarisedReport:
        started = time.perf_counter()
        document = _with_retry(lambda: documents.check(request, *args))
        took_s = time.perf_counter() - started
        lane = str((check.request.delivery_info or {}).get("routing_key"))
        record = BlockRecord(
            lane=_LANE_OF_QUEUE.get(lane, LANE_OF_KIND[CHECK_TASK]).value,
            outcome=BlockOutcome.ANSWERED,
            n_checks=1,
            n_errors=int(document["status"] == ReportStatus.ERROR),
            queued_s=None,
            fetch_s=0.0,
            compute_s=took_s,
            busy_s=took_s,
            total_s=None,
        )
        record_block(record)
        _log("check.finished", record, task=check.request.id)
        return SummarisedReport(document)

    @app.task(name=SWEEP_TASK, ignore_result=True, Request=ServedRequest)
    def sweep_ledger() -> None:
        swept = sweep(broker)
        if any(swept):
            log.info("sweep.finished", **swept._asdict())


def register_live(app: Celery, positions: PositionService, dispatch: BreachDispatch) -> None:
    """Register the tasks of live portfolios, and the one that delivers changes of state."""

    @app.task(name=POSITION_CHANGE_TASK, base=CallbackTask, bind=True, Request=SummarisedChange)
    def position_change(self: Task[..., Any], *args: Any, **request: Any) -> dict[str, Any]:
        return _with_retry(lambda: positions.change(request, args, self.request.id))

    @app.task(name=PORTFOLIO_UPDATE_TASK, base=CallbackTask, bind=True, Request=SummarisedChange)
    def portfolio_update(self: Task[..., Any], *args: Any, **request: Any) -> dict[str, Any]:
        return _with_retry(lambda: positions.update(request, args, self.request.id))

    @app.task(name=CRITICAL_EVENT_TASK, base=CallbackTask, bind=True, Request=SummarisedEvent)
    def critical_event(self: Task[..., Any], *args: Any, **request: Any) -> dict[str, Any]:
        return _with_retry(lambda: positions.critical_event(request, args, self.request.id))

    @app.task(name=LIMIT_BREACH_TASK, ignore_result=True, Request=ServedRequest)
    def limit_breach() -> None:
        _with_retry(dispatch.step)


def register_prewarming(app: Celery, prewarmer: Prewarmer) -> None:
    """Register the task that computes popular results on a new market."""

    @app.task(name=PREWARM_TASK, ignore_result=True, Request=ServedRequest)
    def prewarm(*, goes_on: bool = False, **policy: Any) -> None:
        wanted = PrewarmPolicy(**policy)
        if not goes_on:
            goes_on = _with_retry(lambda: prewarmer.plan(wanted))
        if goes_on and _with_retry(lambda: prewarmer.step(wanted)):
            # Each step is a message of its own, so that more urgent lanes are served between them.
            again = {"goes_on": True, **policy}
            app.send_task(PREWARM_TASK, kwargs=again, queue=LANE_OF_KIND[PREWARM_TASK].queue)


def _answer(
    service: Service, block_id: str, block: StartedBlock, fetch_s: float
) -> tuple[AnswerBlock | None, bytes]:
    """Return the answer and its bytes; for a failure None and the bytes of the failure."""
    waited = {"queued_ms": block.queued_ms, "fetch_ms": fetch_s * 1e3}
    try:
        answer = _with_retry(
            lambda: service.answer(block.payload, block.stamp, waited, timeout_s=block.left_s)
        )
        return answer, encode_answer(answer) if block.keeps_answer else b""
    except WireError as error:
        log.warning("block.undecodable", block=block_id, error=str(error))
        return None, encode_failure(str(error))
    except Exception as error:
        # The client gets the failure at once; a raised exception would let the block expire.
        log.exception("block.failed", block=block_id)
        return None, encode_failure(type(error).__name__)


def _record(
    block: StartedBlock,
    answer: AnswerBlock | None,
    fetch_s: float,
    busy_s: float,
    total_ms: float | None,
) -> BlockRecord:
    if total_ms is None:
        outcome = BlockOutcome.DUPLICATE
    else:
        outcome = BlockOutcome.FAILED if answer is None else BlockOutcome.ANSWERED
    return BlockRecord(
        lane=block.lane,
        outcome=outcome,
        n_checks=block.n_checks,
        n_errors=block.n_checks if answer is None else len(answer.errors),
        queued_s=block.queued_ms / 1e3,
        fetch_s=fetch_s,
        compute_s=0.0 if answer is None else answer.head.timings["compute_ms"] / 1e3,
        busy_s=busy_s,
        total_s=None if total_ms is None else total_ms / 1e3,
    )


def _log(event: str, record: BlockRecord, **ids: Any) -> None:
    """Log a finished message: ids, counts, and times in ms."""
    if not log.is_enabled_for(logging.INFO):
        return
    times = {
        "queued_ms": record.queued_s,
        "fetch_ms": record.fetch_s,
        "compute_ms": record.compute_s,
        "busy_ms": record.busy_s,
        "total_ms": record.total_s,
    }
    log.info(
        event,
        **ids,
        lane=record.lane,
        outcome=record.outcome.value,
        checks=record.n_checks,
        errors=record.n_errors,
        **{name: round(s * 1e3, 3) for name, s in times.items() if s is not None},
    )


def _with_retry(call: Callable[[], Result], *, for_s: float = _RETRY_FOR_S) -> Result:
    """Retry `call` while it raises `TransportError`; each call here may run twice."""
    try:
        return call()
    except TransportError:
        time.sleep(_FIRST_WAIT_S)
    retrying = Retrying(
        retry=retry_if_exception_type(TransportError),
        wait=wait_exponential(multiplier=2 * _FIRST_WAIT_S, max=1.0),
        stop=stop_after_delay(for_s),
        reraise=True,
    )
    return retrying(call)
