"""The shard of a portfolio, the number of shards, and the leases of shards by workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt
import redis

from risk_tasks.connection import Store, text
from risk_tasks.errors import ShardCountError
from risk_tasks.keys import SHARD_LEASE_TTL_S, SHARDS_KEY, shard_leases_key
from risk_tasks.queues import HELP_AFTER_S, SHARDED_LANES, Lane
from risk_tasks.scripts import Script

_REMEDIES = {
    "served": "Give this role the same number, or stop every worker first.",
    "waiting": "Start workers with the old number, let them finish the waiting blocks, stop them.",
}


def shard_of(portfolio_id: str, n_shards: int) -> int:
    """Return the shard of a portfolio, 0 to `n_shards` - 1: CRC-32 of its UTF-8 bytes."""
    return crc32(portfolio_id.encode()) % n_shards


def shards_of(portfolio_ids: Iterable[bytes], n_shards: int) -> npt.NDArray[np.int64]:
    """Return the shard of each portfolio; ids are UTF-8 bytes."""
    return np.fromiter(map(crc32, portfolio_ids), np.int64) % n_shards


@dataclass(frozen=True, slots=True)
class LeasedShards:
    """The shards of a lane that a worker leases, and all late shards, longest wait first.

    A shard is late if its oldest block has waited longer than `HELP_AFTER_S`.
    """

    own: tuple[int, ...] = ()
    late: tuple[int, ...] = ()


class ShardStore(Store):
    """The number of shards and their leases; `now_s` replaces the clock of the server."""

    def __init__(self, client: redis.Redis, now_s: Callable[[], float] | None = None) -> None:
        super().__init__(client)
        self._now_s = now_s
        self._agree, self._renew, self._leave = (
            Script(client, "risk_tasks.store", "shards", name)
            for name in ("agree", "renew", "leave")
        )

    def count(self) -> int:
        """Return the number of shards of the normal and the batch lane; 1 if none was set."""
        return int(self._client.get(SHARDS_KEY) or 1)

    def agree(self, n_shards: int | None, *, is_served: bool) -> int:
        """Set the number of shards and return it; for None, only return it.

        `is_served`: whether workers are alive. Raises `ShardCountError` if the number differs and
        workers are alive or blocks wait in a shard.
        """
        args = ["" if n_shards is None else n_shards, int(is_served), *SHARDED_LANES]
        outcome, current = self._agree(args=args)
        if text(outcome) == "agreed":
            return int(current)
        raise ShardCountError(
            f"The lanes have {int(current)} shards, not {n_shards}.",
            field="RISK_TASKS_SHARDS",
            remedy=_REMEDIES[text(outcome)],
        )

    def renew(self, worker: str, n_shards: int, lanes: Sequence[Lane]) -> dict[Lane, LeasedShards]:
        """Renew the leases of `worker` and return its share of the shards of each lane.

        Call it well within `SHARD_LEASE_TTL_S`; after that the shards go to other workers. Raises
        `ShardCountError` if the number of shards has changed.
        """
        ttl_ms, late_ms = int(SHARD_LEASE_TTL_S * 1e3), int(HELP_AFTER_S * 1e3)
        now_ms = "" if self._now_s is None else int(self._now_s() * 1e3)
        found = self._renew(args=[worker, n_shards, ttl_ms, late_ms, now_ms, *lanes])
        if isinstance(found, int):
            raise ShardCountError(
                f"The lanes now have {found} shards, not {n_shards}.",
                field="RISK_TASKS_SHARDS",
                remedy="Restart this worker.",
            )
        return {
            lane: LeasedShards(tuple(sorted(own)), tuple(late))
            for lane, (own, late) in zip(lanes, found, strict=True)
        }

    def leave(self, worker: str, lanes: Sequence[Lane]) -> None:
        """Release the shards of `worker`, so that other workers get them before it times out."""
        self._leave(args=[worker, *lanes])

    def leases(self, lane: Lane) -> dict[int, str]:
        """Return the worker of each leased shard; it may have died within the last seconds."""
        found = self._client.hgetall(shard_leases_key(lane))
        return {int(shard): text(worker) for shard, worker in found.items()}
