"""Requests by idempotency key: which gateway answers a request, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import redis

from risk_tasks.connection import Store, text
from risk_tasks.keys import CLAIM_TTL_S, RESULT_TTL_S, idempotency_key
from risk_tasks.scripts import Script

_CLAIM_MS = round(CLAIM_TTL_S * 1e3)


class ClaimState(StrEnum):
    """Whether a request is claimed, and by which gateway."""

    #: the caller answers the request, and renews the claim meanwhile
    CLAIMED = "claimed"
    #: the key belongs to a different request
    REUSED = "reused"
    #: another gateway answers the request
    RUNNING = "running"
    #: the request has an answer
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Claim:
    """The result of a claim.

    `n_renewals` grows while the gateway of a RUNNING claim is alive. `head` and `body` are the
    first answer as it was stored, empty unless ANSWERED.
    """

    state: ClaimState
    n_renewals: int
    head: bytes
    body: bytes


class IdempotencyStore(Store):
    """Claims and answers by digest of the key. A claim expires unless it is renewed."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._claim, self._renew, self._settle = (
            Script(client, "risk_tasks.store", "idempotency", name, acknowledged=name == "settle")
            for name in ("claim", "renew", "settle")
        )

    def claim(self, key: str, request: str, owner: str) -> Claim:
        """Claim `key` for the request with this digest, unless it has a claim or an answer."""
        state, n_renewals, head, body = self._claim(
            keys=[idempotency_key(key)], args=[request, owner, _CLAIM_MS]
        )
        return Claim(ClaimState(text(state)), int(n_renewals), head, body)

    def renew(self, key: str, owner: str) -> bool:
        """Renew the claim of `owner`; False if `owner` has lost it."""
        return bool(self._renew(keys=[idempotency_key(key)], args=[owner, _CLAIM_MS]))

    def keep(self, key: str, owner: str, head: bytes, body: bytes) -> bool:
        """Store an answer for `RESULT_TTL_S`; False if `owner` has lost the claim."""
        return bool(
            self._settle(
                keys=[idempotency_key(key)],
                args=[owner, head, body, RESULT_TTL_S],
            )
        )

    def release(self, key: str, owner: str) -> None:
        """Release the claim: the next request with the key claims it."""
        self._settle(keys=[idempotency_key(key)], args=[owner, b"", b"", RESULT_TTL_S])
