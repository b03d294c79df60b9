"""The number of shards, and which worker leases which."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import redis

from risk_tasks.connection import Store, text
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
    """The live `workers` of a lane, the worker of each shard, and late shards, the latest first.

    A lease may name a dead worker. A shard is late if its oldest block waits too long.
    """

    workers: tuple[str, ...] = ()
    leases: Mapping[int, str] = field(default_factory=dict)
    late: tuple[int, ...] = ()


class ShardStore(Store):
    """The number of shards and their leases; `now_s` replaces the clock of the server."""

    def __init__(self, client: redis.Redis, now_s: Callable[[], float] | None = None) -> None:
        super().__init__(client)
        self._now_s = now_s
        self._agree, self._hold, self._leave = (
            Script(client, "risk_tasks.store", "shards", name)
            for name in ("agree", "hold", "leave")
        )

    def count(self) -> int:
        """Return the number of shards of the normal and the batch lane, 1 unless it was set."""
        return int(self._client.get(SHARDS_KEY) or 1)

    def agree(self, n_shards: int | None, *, is_served: bool) -> int:
        """Set the number of shards, or read it for None; returns it.

        `is_served`: whether workers run. Raises `ShardCountError` if another number is in use.
        """
        args = ["" if n_shards is None else n_shards, int(is_served), *SHARDED_LANES]
        outcome, kept = self._agree(args=args)
        if text(outcome) == "agreed":
            return int(kept)
        raise ShardCountError(
            f"The lanes of this system have {int(kept)} shards, not {n_shards}.",
            field="RISK_TASKS_SHARDS",
            remedy=_REMEDIES[text(outcome)],
        )

    def hold(
        self, worker: str, n_shards: int, moves: Mapping[Lane, Moves]
    ) -> dict[Lane, LaneLeases]:
        """Note that `worker` is alive, make its `moves`, and return the leases.

        Call it well within `SHARD_LEASE_TTL_S`. A shard that another worker took first stays with
        that worker. Raises `ShardCountError` if there are no longer `n_shards`.
        """
        asked = [(lane.value, one.take, one.give_up) for lane, one in moves.items()]
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
                f"The lanes of this system now have {found} shards, not {n_shards}.",
                field="RISK_TASKS_SHARDS",
                remedy="Start this worker again.",
            )
        return {lane: _lane_leases(*one) for lane, one in zip(moves, found, strict=True)}

    def leave(self, worker: str, lanes: Sequence[Lane]) -> None:
        """Release the leases of `worker` in `lanes` before they expire."""
        self._leave(args=[worker, *lanes])

    def leases(self, lane: Lane) -> dict[int, str]:
        """Return the worker of each leased shard; some may be dead."""
        return _leases(self._client.hgetall(shard_leases_key(lane)))


def _lane_leases(workers: Sequence[Any], leases: Sequence[Any], late: Sequence[Any]) -> LaneLeases:
    return LaneLeases(
        tuple(text(one) for one in workers),
        _leases(dict(zip(leases[::2], leases[1::2], strict=True))),
        tuple(int(one) for one in late),
    )


def _leases(found: Any) -> dict[int, str]:
    return {int(shard): text(worker) for shard, worker in found.items()}
