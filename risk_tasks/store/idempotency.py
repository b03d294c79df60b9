"""Requests by idempotency key: which gateway answers a request, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import redis

from risk_tasks.connection import Store, text
from risk_tasks.keys import CLAIM_TTL_S, RESULT_TTL_S, idempotency_key
from risk_tasks.scripts import Script

_CLAIM_MS = round(CLAIM_TTL_S * 1e3)


@dataclass(frozen=True, slots=True)
class Claimed:
    """The caller answers the request, and renews the claim meanwhile."""


@dataclass(frozen=True, slots=True)
class Reused:
    """The key belongs to a different request."""


@dataclass(frozen=True, slots=True)
class Running:
    """Another gateway answers the request. `n_renewals` grows while it is alive."""

    n_renewals: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The first answer, as it was stored."""

    head: bytes
    body: bytes


Standing: TypeAlias = Claimed | Reused | Running | Answered


class IdempotencyStore(Store):
    """Claims and answers by digest of the key. A claim expires unless it is renewed."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._claim, self._renew, self._settle = (
            Script(client, "risk_tasks.store", "idempotency", name)
            for name in ("claim", "renew", "settle")
        )

    def claim(self, key: str, request: str, owner: str) -> Standing:
        """Claim `key` for the request with this digest, unless it has a claim or an answer."""
        reply: Any = self._claim(keys=[idempotency_key(key)], args=[request, owner, _CLAIM_MS])
        match text(reply[0]):
            case "claimed":
                return Claimed()
            case "reused":
                return Reused()
            case "running":
                return Running(int(reply[1]))
        return Answered(reply[1], reply[2])

    def renew(self, key: str, owner: str) -> bool:
        """Renew the claim of `owner`; False if `owner` has lost it."""
        return bool(self._renew(keys=[idempotency_key(key)], args=[owner, _CLAIM_MS]))

    def keep(self, key: str, owner: str, answer: Answered) -> bool:
        """Store `answer` for `RESULT_TTL_S`; False if `owner` has lost the claim."""
        return bool(
            self._settle(
                keys=[idempotency_key(key)],
                args=[owner, answer.head, answer.body, RESULT_TTL_S],
            )
        )

    def release(self, key: str, owner: str) -> None:
        """Release the claim: the next request with the key is answered."""
        self._settle(keys=[idempotency_key(key)], args=[owner, b"", b"", RESULT_TTL_S])
