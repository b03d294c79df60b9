"""From the id of a portfolio to its shard: the same in every client, worker and version."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import numpy as np
import numpy.typing as npt


def shard_of(portfolio_id: str, n_shards: int) -> int:
    """Return the shard of a portfolio, from 0 to before `n_shards`: CRC-32 of its UTF-8 bytes."""
    return crc32(portfolio_id.encode()) % n_shards


def shards_of(portfolio_ids: Iterable[bytes], n_shards: int) -> npt.NDArray[np.int64]:
    """Return the shard of each portfolio, whose ids are given as UTF-8."""
    return np.fromiter(map(crc32, portfolio_ids), np.int64) % n_shards
