"""What the numbers of a portfolio depend on, as one hash for each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.market import MarketArrays
from risk_tasks.kernels.digest import row_digests


def content_digests(block: PortfolioBlock, market: MarketArrays) -> npt.NDArray[np.uint64]:
    """Return (P, 2) words, 16 bytes for each portfolio: BLAKE2b of panel, instruments and values.

    It is what every measure of past or simulated P&L depends on, besides its settings: new marks
    leave a portfolio's hash as it is where none of its prices changed. Cash, net asset value,
    scenarios and limits are not in it.
    """
    words = np.empty((len(block.instrument), 2), dtype=np.uint64)
    words[:, 0] = block.instrument
    # -0.0 is the same position as 0.0.
    value = block.quantity * market.prices[block.instrument] + 0.0
    words[:, 1] = value.view(np.uint64)
    head = np.frombuffer(bytes.fromhex(market.panel_id), dtype="<u8").astype(np.uint64)
    digests = np.empty((len(block), 2), dtype=np.uint64)
    row_digests(block.offsets, head, words, digests)
    return digests
