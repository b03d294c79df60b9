"""Blocks as bytes and back: a few checks as rows, many as columns."""

from __future__ import annotations

import msgspec
import pyarrow as pa

from risk_tasks.errors import DeadLetterError, ReportTimeoutError
from risk_tasks.wire import answer_columns, answer_rows, request_columns, request_rows
from risk_tasks.wire.answer import KIND, AnswerBlock, AnswerHead
from risk_tasks.wire.arrow import encode_batch, is_arrow
from risk_tasks.wire.request import RequestBlock

#: up to here rows take less time than columns, whose cost hardly depends on how many they are
FEW_CHECKS, FEW_POSITIONS = 256, 8_192

#: outcomes that the Lua writes in place of an answer
EXPIRED, DEAD = b"!expired", b"!dead "


def encode_request(block: RequestBlock) -> bytes:
    """Return `block` as bytes, in the form that suits its size."""
    is_small = len(block) <= FEW_CHECKS and len(block.quantity) <= FEW_POSITIONS
    return (request_rows.encode_rows if is_small else request_columns.encode_columns)(block)


def decode_request(data: bytes) -> RequestBlock:
    """Return the block in `data`, of either form; raises `WireError` for anything that is none."""
    decode = request_columns.decode_columns if is_arrow(data) else request_rows.decode_rows
    return decode(data)


def encode_answer(answer: AnswerBlock) -> bytes:
    """Return `answer` as bytes, in the form that suits its size; explanations are columns."""
    is_small = len(answer) <= FEW_CHECKS and not answer.explanations
    return (answer_rows.encode_rows if is_small else answer_columns.encode_columns)(answer)


def encode_failure(message: str) -> bytes:
    """Return what stands for an answer where a worker could not make one."""
    head = msgspec.json.encode(AnswerHead(failure=message)).decode()
    return encode_batch(pa.record_batch({"row": pa.nulls(0)}), KIND, {"head": head})


def decode_answer(data: bytes, check_id: str = "", block_id: str = "") -> AnswerBlock:
    """Return the answer in `data`, of either form, which is that of a block of a check.

    Raises `WireError` for anything that is none, `RiskTasksError` for a worker's failure, and for
    outcomes that the server writes itself `ReportTimeoutError` and `DeadLetterError`.
    """
    if data.startswith(EXPIRED):
        raise ReportTimeoutError("No worker started it before its deadline.", check_id=check_id)
    if data.startswith(DEAD):
        why = data[len(DEAD) :].decode(errors="replace")
        raise DeadLetterError(
            f"Given up: {why}. It is the dead letter {block_id}.",
            check_id=check_id,
            letter_id=block_id,
        )
    decode = answer_columns.decode_columns if is_arrow(data) else answer_rows.decode_rows
    return decode(data)
