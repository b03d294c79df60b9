"""Answers by the id of their block, for callers that do not wait."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import cast

import redis

from risk_tasks.connection import transport_errors
from risk_tasks.keys import block_key, result_key


class ResultState(StrEnum):
    """What is known of a block by its id."""

    ANSWERED = "answered"
    PENDING = "pending"
    UNKNOWN = "unknown"


class ResultStore:
    """Reads answers and leaves them where they are; they expire by themselves."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def load(self, block_ids: Sequence[str]) -> list[tuple[ResultState, bytes]]:
        """Return for each block whether it is answered, and its answer."""
        if not block_ids:
            return []
        with transport_errors(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.mget([result_key(block_id) for block_id in block_ids])
            for block_id in block_ids:
                pipe.exists(block_key(block_id))
            answers, *pending = pipe.execute()
        return [
            (ResultState.ANSWERED, cast("bytes", answer))
            if answer is not None
            else (ResultState.PENDING if waits else ResultState.UNKNOWN, b"")
            for answer, waits in zip(answers, pending, strict=True)
        ]
