"""When popular requests are computed on a new market."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from risk_tasks.engine import MarketArrays
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.service.prewarm import reason_to_run
from risk_tasks.store.prewarm import PrewarmPolicy, PrewarmRun

POLICY = PrewarmPolicy(marks_bound=0.01)
AS_OF = datetime(2024, 5, 1, tzinfo=UTC)


def market(prices: list[float], *, moved: float = 0.0) -> MarketArrays:
    returns = np.array([[0.01, -0.02], [0.03, 0.01 + moved]])
    return MarketArrays.of(MarketSnapshot(AS_OF, ["A", "B"], prices, returns))


def reason(now: MarketArrays, before: MarketArrays | None, *, after_s: float = 1.0) -> str | None:
    last = PrewarmRun("first", 100.0, "id", before.panel_id if before else now.panel_id, 3)
    return reason_to_run(last, now, before, POLICY, now_s=100.0 + after_s, expires_s=60.0)


def test_without_an_earlier_run_there_is_a_reason():
    """No result has been prewarmed yet."""
    now = market([1.0, 2.0])
    assert reason_to_run(None, now, None, POLICY, now_s=0.0, expires_s=60.0) == "first"


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ([100.0, 200.0], None),
        ([100.9, 200.0], None),
        ([100.0, 202.1], "marks"),
        ([98.9, 200.0], "marks"),
    ],
)
def test_a_price_move_beyond_the_bound_is_a_reason(prices, expected):
    """Up or down."""
    assert reason(market(prices), market([100.0, 200.0])) == expected


def test_a_move_from_a_price_of_zero_is_a_reason():
    """A price that stays zero has not moved."""
    assert reason(market([0.0, 1.0]), market([0.0, 1.0])) is None
    assert reason(market([0.5, 1.0]), market([0.0, 1.0])) == "marks"


def test_a_new_panel_is_a_reason_with_equal_prices():
    """Every result that depends on returns changes."""
    before = market([1.0, 2.0])
    assert reason(market([1.0, 2.0], moved=0.01), before) == "panel"


def test_results_that_are_about_to_expire_are_a_reason():
    """And not earlier."""
    now = market([1.0, 2.0])
    assert reason(now, now, after_s=59.0) is None
    assert reason(now, now, after_s=60.0) == "expiry"


def test_a_market_that_no_longer_exists_is_a_reason():
    """It cannot be compared, and counts as different."""
    assert reason(market([1.0, 2.0]), None) == "marks"
