"""Answers by the id of their block, for callers that do not wait."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import cast

from risk_tasks.connection import Store
from risk_tasks.keys import block_key, result_key


class ResultState(StrEnum):
    """Whether the answer to a block is stored."""

    ANSWERED = "answered"
    PENDING = "pending"
    UNKNOWN = "unknown"


class ResultStore(Store):
    """Reads answers without removing them; they expire."""

    def load(self, block_ids: Sequence[str]) -> list[tuple[ResultState, bytes]]:
        """Return the state and the answer of each block; the answer is empty unless ANSWERED."""
        if not block_ids:
            return []
        with self._client.pipeline(transaction=True) as pipe:
            pipe.mget([result_key(block_id) for block_id in block_ids])
            for block_id in block_ids:
                pipe.exists(block_key(block_id))
            answers, *pending = pipe.execute()
        return [
            (ResultState.ANSWERED, cast("bytes", answer))
            if answer is not None
            else (ResultState.PENDING if is_pending else ResultState.UNKNOWN, b"")
            for answer, is_pending in zip(answers, pending, strict=True)
        ]
