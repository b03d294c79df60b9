"""The Celery tasks: thin hosts, bytes in and bytes out. What they do stands in the service."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from celery import Celery, Task
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from risk_tasks.broker.blocks import BlockBroker
from risk_tasks.broker.watched import SummarisedReport, SummarisedRequest
from risk_tasks.errors import TransportError, WireError
from risk_tasks.lanes import CHECK_BLOCK_TASK, CHECK_TASK, SWEEP_TASK
from risk_tasks.service import DocumentService, Service
from risk_tasks.upkeep.sweeper import sweep
from risk_tasks.wire.answer import encode_failure

log = structlog.get_logger("risk_tasks")

Result = TypeVar("Result")


def register(
    app: Celery, service: Service, documents: DocumentService, broker: BlockBroker
) -> None:
    """Give `app` the tasks that a worker runs."""

    @app.task(name=CHECK_BLOCK_TASK, bind=True, ignore_result=True)
    def check_block(self: Task[..., None]) -> None:
        block_id, worker = self.request.id, self.request.hostname
        fetching = time.perf_counter()
        block = _patiently(lambda: broker.start(block_id, worker=worker))
        if block is None:
            log.info("block.not_started", block=block_id)
            return
        started = time.perf_counter()
        try:
            waited = {"queued_ms": block.queued_ms, "fetch_ms": (started - fetching) * 1e3}
            answer = _patiently(lambda: service.run(block.payload, block.stamp, waited))
        except WireError as error:
            log.warning("block.undecodable", block=block_id, error=str(error))
            answer = encode_failure(str(error))
        except Exception as error:
            # Whoever waits is told at once: an exception would leave the block to its deadline.
            log.exception("block.failed", block=block_id)
            answer = encode_failure(type(error).__name__)
        first = _patiently(lambda: broker.finish(block_id, answer))
        log.info(
            "block.finished",
            block=block_id,
            first=first,
            queued_ms=block.queued_ms,
            worked_ms=round((time.perf_counter() - started) * 1e3, 3),
            payload_bytes=len(block.payload),
        )

    @app.task(name=CHECK_TASK, Request=SummarisedRequest)
    def check(*args: Any, **request: Any) -> SummarisedReport:
        return SummarisedReport(_patiently(lambda: documents.check(request, *args)))

    @app.task(name=SWEEP_TASK, ignore_result=True)
    def sweep_abandoned() -> None:
        swept = sweep(broker)
        if any(swept):
            log.info("sweep.finished", **swept._asdict())


def _patiently(call: Callable[[], Result]) -> Result:
    """Repeat `call` while the server is away: scripts may be repeated, and so may computing."""
    retrying = Retrying(
        retry=retry_if_exception_type(TransportError),
        wait=wait_exponential(multiplier=0.05, max=1.0),
        stop=stop_after_delay(60),
        reraise=True,
    )
    return retrying(call)
