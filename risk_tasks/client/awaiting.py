"""Waiting for answers by their id, where no reply list is written."""

from __future__ import annotations

import time

from risk_tasks.client.check_ids import CheckId
from risk_tasks.errors import ReportTimeoutError, UnknownCheckError
from risk_tasks.store.results import ResultState, ResultStore
from risk_tasks.wire.answer import AnswerBlock
from risk_tasks.wire.messages import decode_answer

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
