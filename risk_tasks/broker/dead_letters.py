"""Dead letters: blocks and live portfolios that were given up, messages that no worker may see."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import redis

from risk_tasks.broker.scripts import Script
from risk_tasks.connection import text, transport_errors
from risk_tasks.errors import InvalidSettingsError, UnknownLetterError
from risk_tasks.keys import DEAD_KEY, MAX_DEAD, MAX_DEAD_BYTES, block_key, dead_key, payload_key

_KEPT_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One dead letter; `payload` is empty for all but blocks."""

    id: str
    reason: str
    lane: str
    died_at: datetime
    n_checks: int
    n_put_back: int
    payload: bytes
    envelope: bytes
    #: the live portfolio that was given up
    portfolio_id: str | None = None

    @property
    def is_replayable(self) -> bool:
        return bool(self.payload) or self.portfolio_id is not None


class DeadLetters:
    """The dead letters of one server, newest first; the last `MAX_DEAD` are kept."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._quarantine = Script(client, "quarantine")
        self._give_up = Script(client, "give_up")
        self._drop = Script(client, "drop")
        self._replay = Script(client, "replay")

    def quarantine(self, message: bytes, *, lane: str, reason: str) -> str:
        """Keep the head of a message that no worker may see; returns the letter's id."""
        letter_id = f"malformed-{uuid.uuid4().hex}"
        with transport_errors(self._client):
            self._quarantine(
                args=[letter_id, message[:_KEPT_BYTES], lane, reason, MAX_DEAD, MAX_DEAD_BYTES]
            )
        return letter_id

    def give_up(self, portfolio_id: str, version: int, *, attempts: int, lane: str) -> str:
        """Keep that a live portfolio was given up; returns the letter's id, one a portfolio."""
        letter_id = f"live-{portfolio_id}"
        reason = f"computing it was begun {attempts} times and never ended"
        about = json.dumps({"portfolio_id": portfolio_id, "version": version})
        words = [letter_id, portfolio_id, lane, reason, attempts, about]
        with transport_errors(self._client):
            self._give_up(args=[*words, MAX_DEAD, MAX_DEAD_BYTES])
        return letter_id

    def letters(self, limit: int = MAX_DEAD) -> list[DeadLetter]:
        """Return up to `limit` letters, the latest first."""
        with transport_errors(self._client):
            ids = cast("list[bytes]", self._client.zrevrange(DEAD_KEY, 0, limit - 1))
        found = [self._find(text(letter_id)) for letter_id in ids]
        return [letter for letter in found if letter is not None]

    def letter(self, letter_id: str) -> DeadLetter:
        """Return one letter; raises `UnknownLetterError`."""
        found = self._find(letter_id)
        if found is None:
            raise UnknownLetterError(f"There is no dead letter {letter_id!r}.", field="id")
        return found

    def replay(self, letter_id: str, *, timeout_s: float) -> None:
        """Put a block on its lane once more; its answer is read by its id.

        A live portfolio becomes dirty, and its latest report is its answer.

        Raises `UnknownLetterError`, or `InvalidSettingsError` for a malformed message.
        """
        with transport_errors(self._client):
            outcome = text(
                self._replay(
                    keys=[dead_key(letter_id), block_key(letter_id)],
                    args=[letter_id, int(timeout_s * 1e3)],
                )
            )
        if outcome == "unknown":
            raise UnknownLetterError(f"There is no dead letter {letter_id!r}.", field="id")
        if outcome == "malformed":
            raise InvalidSettingsError(
                "A malformed message cannot be replayed.",
                field="id",
                remedy="See who sent it, then drop it: risk-tasks dlq drop ID",
            )

    def drop(self, letter_id: str) -> None:
        """Remove one letter for good; raises `UnknownLetterError`."""
        with transport_errors(self._client):
            dropped = self._drop(
                keys=[dead_key(letter_id), payload_key(letter_id)], args=[letter_id]
            )
        if not dropped:
            raise UnknownLetterError(f"There is no dead letter {letter_id!r}.", field="id")

    def _find(self, letter_id: str) -> DeadLetter | None:
        with transport_errors(self._client), self._client.pipeline(transaction=True) as pipe:
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
            n_put_back=int(fields.get("put_back", 0)),
            payload=_bytes(payload or b""),
            envelope=_bytes(raw.get("envelope", b"")),
            portfolio_id=fields.get("portfolio"),
        )


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value
