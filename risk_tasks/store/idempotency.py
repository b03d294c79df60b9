"""Requests under an idempotency key: who answers one, and what the answer was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.keys import CLAIM_TTL_S, RESULT_TTL_S, idempotency_key
from risk_tasks.scripts import Script


@dataclass(frozen=True, slots=True)
class Claimed:
    """The request is the caller's to answer; it renews the claim while it does."""


@dataclass(frozen=True, slots=True)
class Reused:
    """The key stands for another request."""


@dataclass(frozen=True, slots=True)
class Running:
    """Another answers it; one that lives renews, so that `n_renewals` grows."""

    n_renewals: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered first, in the words of whoever kept it."""

    head: bytes
    body: bytes


Standing: TypeAlias = Claimed | Reused | Running | Answered


class IdempotencyStore:
    """Claims by digest of the key. A claim lapses unless it is renewed; an answer is kept 900 s."""

    def __init__(self, client: redis.Redis, *, claim_ttl_s: float = CLAIM_TTL_S) -> None:
        self._client = client
        self._claim_ms = round(claim_ttl_s * 1e3)
        self._claim, self._renew, self._settle = (
            Script(client, "risk_tasks.store", "idempotency", name)
            for name in ("claim", "renew", "settle")
        )

    def claim(self, key: str, request: str, owner: str) -> Standing:
        """Claim `key` for the request of this digest, or return how it stands."""
        with transport_errors(self._client):
            told: Any = self._claim(
                keys=[idempotency_key(key)], args=[request, owner, self._claim_ms]
            )
        match text(told[0]):
            case "claimed":
                return Claimed()
            case "reused":
                return Reused()
            case "running":
                return Running(int(told[1]))
        return Answered(told[1], told[2])

    def renew(self, key: str, owner: str) -> bool:
        """Say that `owner` lives; False where the claim is no longer its own."""
        with transport_errors(self._client):
            return bool(self._renew(keys=[idempotency_key(key)], args=[owner, self._claim_ms]))

    def keep(self, key: str, owner: str, answer: Answered) -> bool:
        """Keep `answer` as the first one; False where the claim is no longer `owner`'s."""
        with transport_errors(self._client):
            return bool(
                self._settle(
                    keys=[idempotency_key(key)],
                    args=[owner, answer.head, answer.body, RESULT_TTL_S],
                )
            )

    def release(self, key: str, owner: str) -> None:
        """Give the claim up: the next one who comes with the key answers."""
        with transport_errors(self._client):
            self._settle(keys=[idempotency_key(key)], args=[owner, b"", b"", RESULT_TTL_S])
