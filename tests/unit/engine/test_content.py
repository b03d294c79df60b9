"""The hash of the inputs of a portfolio's measures."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import numpy as np

from risk_tasks.engine import MarketArrays, PortfolioBlock
from risk_tasks.engine.content import content_digests
from risk_tasks.model.market import MarketSnapshot


def test_a_portfolio_has_the_blake2b_of_panel_instruments_and_values() -> None:
    market = MarketArrays.of(
        MarketSnapshot(
            datetime(2026, 1, 2, tzinfo=UTC), ["A", "B"], np.array([2.0, 4.0]), np.zeros((3, 2))
        )
    )
    block = PortfolioBlock(
        offsets=np.array([0, 2, 2, 3], dtype=np.int64),
        instrument=np.array([0, 1, 1], dtype=np.int64),
        quantity=np.array([1.0, -0.0, 0.5]),
        cash=np.full(3, np.nan),
        nav=np.full(3, np.nan),
    )

    def digest(*positions: tuple[int, float]) -> bytes:
        words = b"".join(np.int64(i).tobytes() + np.float64(v).tobytes() for i, v in positions)
        return hashlib.blake2b(bytes.fromhex(market.panel_id) + words, digest_size=16).digest()

    assert content_digests(block, market) == [
        digest((0, 2.0), (1, 0.0)),
        digest(),
        digest((1, 2.0)),
    ]
