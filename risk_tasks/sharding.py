"""Which shard a portfolio is in and which worker leases it. No input, no output, no clock.

Shards are leased without a coordinator. Every worker reads the same leases and the same list of
running workers, releases the shards that exceed its share and takes free ones up to its share. A
shard moves only when a worker has more than its share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt


def shard_of(portfolio_id: str, n_shards: int) -> int:
    """Return the shard of a portfolio, 0 to `n_shards` - 1: CRC-32 of its UTF-8 bytes."""
    return crc32(portfolio_id.encode()) % n_shards


def shards_of(portfolio_ids: Iterable[bytes], n_shards: int) -> npt.NDArray[np.int64]:
    """Return the shard of each portfolio; ids are UTF-8 bytes."""
    return np.fromiter(map(crc32, portfolio_ids), np.int64) % n_shards


@dataclass(frozen=True, slots=True)
class Moves:
    """What one worker does next: shards that are free and become its own, and those it gives up."""

    take: tuple[int, ...] = ()
    give_up: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.take or self.give_up)


def next_moves(
    worker: str, workers: Collection[str], leases: Mapping[int, str], n_shards: int
) -> Moves:
    """Return what `worker`, one of the living `workers`, does about the `leases` of all.

    Shares differ by one at the most once everybody has done so. Leases of the dead are free.
    """
    held = Counter(dict.fromkeys(workers, 0))
    held.update(name for name in leases.values() if name in held)
    least, n_larger = divmod(n_shards, len(held))
    most = least + bool(n_larger)
    keeps = {name: min(n, most) for name, n in held.items()}
    free = n_shards - sum(keeps.values())
    # Where those with too little need more than is free, so many of the larger shares become less.
    lacking = sum(max(least - n, 0) for n in keeps.values()) - free
    larger = sorted(name for name, n in keeps.items() if n > least)
    for name in larger[: max(lacking, 0)]:
        keeps[name] -= 1
    mine = sorted(shard for shard, name in leases.items() if name == worker)
    give_up = mine[keeps[worker] :]
    nobodys = [shard for shard in range(n_shards) if leases.get(shard) not in held]
    return Moves(_share(worker, keeps, nobodys, most), tuple(give_up))


def _share(
    worker: str, keeps: Mapping[str, int], free: Collection[int], most: int
) -> tuple[int, ...]:
    """Return which of the `free` shards go to `worker`, where each goes to whoever has least."""
    shares = dict(sorted(keeps.items()))
    taken = []
    for shard in free:
        poorest = min(shares, key=shares.__getitem__)
        if shares[poorest] >= most:
            break
        shares[poorest] += 1
        if poorest == worker:
            taken.append(shard)
    return tuple(taken)
