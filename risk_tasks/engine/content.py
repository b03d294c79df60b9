"""Hashes of what the measures of a portfolio depend on."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.market import MarketArrays


def content_digests(block: PortfolioBlock, market: MarketArrays) -> list[bytes]:
    """Return 16 bytes for each portfolio: BLAKE2b of panel, instruments and values.

    Measures of past or simulated P&L depend on nothing else but their settings: new prices change
    the hash of a portfolio only if they change one of its positions. Cash, net asset value,
    scenarios and limits are not part of it.
    """
    # -0.0 is the same position as 0.0.
    value = market.values(block) + 0.0
    return position_digests(block, value, bytes.fromhex(market.panel_id))


def position_digests(
    block: PortfolioBlock, number: npt.NDArray[np.float64], head: bytes
) -> list[bytes]:
    """Return the BLAKE2b of each portfolio, 16 bytes: of `head`, then of its positions.

    A position is two words of 64 bits, little-endian: its instrument and its `number` (N,).
    """
    words = np.empty((len(block.instrument), 2), dtype="<u8")
    words[:, 0], words[:, 1] = block.instrument, number.view(np.uint64)
    data, common = words.tobytes(), hashlib.blake2b(head, digest_size=16)
    digests = []
    for start, stop in pairwise((16 * block.offsets).tolist()):
        digest = common.copy()
        digest.update(data[start:stop])
        digests.append(digest.digest())
    return digests
