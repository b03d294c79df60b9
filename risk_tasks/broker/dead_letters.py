"""Dead letters: abandoned blocks and live portfolios, and malformed messages."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import redis

from risk_tasks.connection import Store, text
from risk_tasks.errors import InvalidSettingsError, UnknownLetterError
from risk_tasks.keys import (
    DEAD_KEY,
    MAX_DEAD,
    MAX_DEAD_BYTES,
    block_key,
    dead_key,
    payload_key,
    replayed_key,
)
from risk_tasks.scripts import Script

_MAX_MESSAGE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One dead letter; only blocks have a `payload`."""

    id: str
    reason: str
    lane: str
    died_at: datetime
    n_checks: int
    n_requeues: int
    payload: bytes
    envelope: bytes
    #: only of a live portfolio
    portfolio_id: str | None = None

    @property
    def is_replayable(self) -> bool:
        return bool(self.payload) or self.portfolio_id is not None


class DeadLetters(Store):
    """The dead letters of one server, newest first; the last `MAX_DEAD` are kept."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._quarantine, self._add_portfolio, self._remove, self._replay = (
            Script(
                *(client, "risk_tasks.broker", "dead_letters", name),
                after=("common",),
                acknowledged=name == "replay",
            )
            for name in ("quarantine", "add_portfolio", "remove", "replay")
        )

    def quarantine(self, message: bytes, *, lane: str, reason: str) -> str:
        """Keep the first 64 KiB of a malformed message; returns the id of the letter."""
        letter_id = f"malformed-{uuid.uuid4().hex}"
        args = [letter_id, message[:_MAX_MESSAGE_BYTES], lane, reason, MAX_DEAD, MAX_DEAD_BYTES]
        self._quarantine(args=args)
        return letter_id

    def add_portfolio(self, portfolio_id: str, version: int, *, attempts: int, lane: str) -> str:
        """Keep the one letter of an abandoned live portfolio; returns its id."""
        letter_id = f"live-{portfolio_id}"
        reason = f"its computation started {attempts} times and never finished"
        envelope = json.dumps({"portfolio_id": portfolio_id, "version": version})
        args = [letter_id, portfolio_id, lane, reason, attempts, envelope, MAX_DEAD, MAX_DEAD_BYTES]
        self._add_portfolio(args=args)
        return letter_id

    def letters(self, limit: int = MAX_DEAD) -> list[DeadLetter]:
        """Return up to `limit` letters, newest first."""
        ids = cast("list[bytes]", self._client.zrevrange(DEAD_KEY, 0, limit - 1))
        found = [self._find(text(letter_id)) for letter_id in ids]
        return [letter for letter in found if letter is not None]

    def letter(self, letter_id: str) -> DeadLetter:
        """Return one letter; raises `UnknownLetterError`."""
        found = self._find(letter_id)
        if found is None:
            raise _unknown(letter_id)
        return found

    def replay(self, letter_id: str, *, timeout_s: float) -> None:
        """Requeue a block, whose answer is read by its id; mark a live portfolio dirty.

        Raises `UnknownLetterError`, or `InvalidSettingsError` for a malformed message.
        """
        outcome = self._replay(
            keys=[dead_key(letter_id), block_key(letter_id), replayed_key(letter_id)],
            args=[letter_id, int(timeout_s * 1e3), uuid.uuid4().hex],
        )
        if text(outcome) == "unknown":
            raise _unknown(letter_id)
        if text(outcome) == "malformed":
            raise InvalidSettingsError(
                "A malformed message cannot be replayed.",
                field="id",
                remedy="Find its sender, then remove it: risk-tasks dlq remove ID",
            )

    def remove(self, letter_id: str) -> None:
        """Remove one letter; raises `UnknownLetterError`."""
        keys = [dead_key(letter_id), payload_key(letter_id)]
        if not self._remove(keys=keys, args=[letter_id]):
            raise _unknown(letter_id)

    def _find(self, letter_id: str) -> DeadLetter | None:
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(dead_key(letter_id)).get(payload_key(letter_id))
            entry, payload = pipe.execute()
        if not entry:
            return None
        raw = {text(name): value for name, value in entry.items()}
        fields = {name: text(value) for name, value in raw.items() if name != "envelope"}
        return DeadLetter(
            id=letter_id,
            reason=fields["reason"],
            lane=fields["lane"],
            died_at=datetime.fromtimestamp(int(fields["died_ms"]) / 1e3, UTC),
            n_checks=int(fields.get("checks", 0)),
            n_requeues=int(fields.get("requeues", 0)),
            payload=_bytes(payload or b""),
            envelope=_bytes(raw.get("envelope", b"")),
            portfolio_id=fields.get("portfolio"),
        )


def _unknown(letter_id: str) -> UnknownLetterError:
    return UnknownLetterError(f"There is no dead letter {letter_id!r}.", field="id")


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value
