"""How many shards there are, and which worker leases which."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import redis

from risk_tasks.connection import text, transport_errors
from risk_tasks.errors import ShardCountError
from risk_tasks.keys import SHARD_LEASE_TTL_S, SHARDS_KEY, shard_leases_key
from risk_tasks.queues import HELP_AFTER_S, SHARDED_LANES, Lane
from risk_tasks.scripts import Script
from risk_tasks.sharding import Moves

_REMEDIES = {
    "served": "Give this role the same number, or stop every worker first.",
    "waiting": "Start workers with that number and let them finish what waits, then stop them.",
}


@dataclass(frozen=True, slots=True)
class LaneLeases:
    """The living `workers` of a lane, the worker of each shard, and the late shards, worst first.

    A lease may name a worker that is dead. Blocks wait too long in a shard that is late.
    """

    workers: tuple[str, ...] = ()
    leases: Mapping[int, str] = field(default_factory=dict)
    late: tuple[int, ...] = ()


class ShardStore:
    """The leases of one server; safe to share between threads.

    Time is the server's, unless `now_s` tells another.
    """

    def __init__(self, client: redis.Redis, now_s: Callable[[], float] | None = None) -> None:
        self._client = client
        self._now_s = now_s
        self._agree = Script(client, "risk_tasks.store", "shards", "agree")
        self._hold = Script(client, "risk_tasks.store", "shards", "hold")
        self._leave = Script(client, "risk_tasks.store", "shards", "leave")

    def count(self) -> int:
        """Return how many shards the normal and the batch lane have; 1 where nobody has said."""
        with transport_errors(self._client):
            return int(self._client.get(SHARDS_KEY) or 1)

    def agree(self, n_shards: int | None, *, is_served: bool) -> int:
        """Say how many shards there are, or learn it where `n_shards` is None; returns it.

        `is_served`: whether workers live. Raises `ShardCountError` where others say otherwise.
        """
        with transport_errors(self._client):
            args = ["" if n_shards is None else n_shards, int(is_served), *SHARDED_LANES]
            outcome, kept = self._agree(args=args)
        if text(outcome) == "agreed":
            return int(kept)
        raise ShardCountError(
            f"The lanes of this system are cut into {int(kept)} shards, not {n_shards}.",
            field="RISK_TASKS_SHARDS",
            remedy=_REMEDIES[text(outcome)],
        )

    def hold(
        self, worker: str, n_shards: int, moves: Mapping[Lane, Moves]
    ) -> dict[Lane, LaneLeases]:
        """Say that `worker` lives, make its `moves`, and return how the leases stand then.

        To be repeated well within `SHARD_LEASE_TTL_S`. A shard that another took first stays with
        it. Raises `ShardCountError` where there are no longer `n_shards`.
        """
        asked = [(lane.value, one.take, one.give_up) for lane, one in moves.items()]
        with transport_errors(self._client):
            found = self._hold(
                args=[
                    worker,
                    n_shards,
                    int(SHARD_LEASE_TTL_S * 1e3),
                    int(HELP_AFTER_S * 1e3),
                    msgspec.json.encode(asked),
                    "" if self._now_s is None else int(self._now_s() * 1e3),
                ]
            )
        if isinstance(found, int):
            raise ShardCountError(
                f"The lanes of this system are cut into {found} shards now, not {n_shards}.",
                field="RISK_TASKS_SHARDS",
                remedy="Start this worker again.",
            )
        return {lane: _lane_leases(*one) for lane, one in zip(moves, found, strict=True)}

    def leave(self, worker: str, lanes: Sequence[Lane]) -> None:
        """Give up what `worker` leases in `lanes`, so that others need not wait for its end."""
        with transport_errors(self._client):
            self._leave(args=[worker, *lanes])

    def leases(self, lane: Lane) -> dict[int, str]:
        """Return the worker of each shard that is leased; some may have died just now."""
        with transport_errors(self._client):
            return _leases(self._client.hgetall(shard_leases_key(lane)))


def _lane_leases(workers: Sequence[Any], leases: Sequence[Any], late: Sequence[Any]) -> LaneLeases:
    return LaneLeases(
        tuple(text(one) for one in workers),
        _leases(dict(zip(leases[::2], leases[1::2], strict=True))),
        tuple(int(one) for one in late),
    )


def _leases(found: Any) -> dict[int, str]:
    return {int(shard): text(worker) for shard, worker in found.items()}
