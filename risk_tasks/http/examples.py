"""The examples of the OpenAPI document; a test sends each of them."""

from __future__ import annotations

from typing import Any

LIMITS: dict[str, Any] = {
    "id": "desk",
    "limits": [
        {"measure": "value_at_risk", "warn": 40_000, "hard": 60_000},
        {"measure": "gross_leverage", "hard": 4.0, "applies_to": {"desk": "equities"}},
    ],
}

ONE_CHECK: dict[str, Any] = {
    "portfolios": [
        {
            "id": "my-desk",
            "positions": {"AAPL": 20_000, "XOM": -9_000},
            "nav": 2_500_000,
            "tags": {"desk": "equities"},
        }
    ]
}

MANY_CHECKS: dict[str, Any] = {
    "portfolios": [
        {"id": "long", "positions": {"AAPL": 1_000}, "cash": 50_000},
        {"id": "short", "positions": {"AAPL": -1_000}, "cash": 500_000},
    ],
    "limits": LIMITS,
    "measures": ["value_at_risk", "expected_shortfall@0.975", "gross_leverage"],
    "settings": {"confidence": "0.99", "horizon_days": 1},
    "market": "default",
    "priority": "critical",
    "explain": True,
}

LIVE_PORTFOLIO: dict[str, Any] = {
    "positions": {"AAPL": 1_000, "XOM": -400},
    "nav": 2_500_000,
    "tags": {"desk": "equities"},
}

DELTAS: dict[str, Any] = {"deltas": {"AAPL": -100, "XOM": 50}}

MARKET: dict[str, Any] = {
    "dates": ["2024-05-01", "2024-05-02", "2024-05-03", "2024-05-06"],
    "prices": {
        "AAPL": [169.3, 173.03, 183.38, 181.71],
        "XOM": [116.03, 116.21, None, 116.75],
    },
    "scenarios": {"crash": {"shocks": {"AAPL": -0.25}, "others": -0.1}},
    "tags": {"AAPL": {"sector": "technology"}},
}

REPORT: dict[str, Any] = {
    "portfolio_id": "my-desk",
    "market_id": "7a1f0c6f4f6c9f0f",
    "limits_version": None,
    "as_of": "2024-05-06T00:00:00Z",
    "status": "ok",
    "decision": "none",
    "measures": {
        "value_at_risk": {"value": 81_234.5, "unit": "currency", "status": "ok", "reason": None}
    },
    "breaches": [],
    "not_evaluated": [],
    "input_hash": "0d5c3b7e",
    "timings": {"queued_ms": 0.4, "fetch_ms": 0.1, "compute_ms": 0.2},
}

PROBLEM: dict[str, Any] = {
    "type": "urn:risk-tasks:problem:unknown_measure",
    "title": "unknown measure",
    "status": 422,
    "detail": "There is no measure 'value_at_rsk'.",
    "code": "unknown_measure",
    "field": "measures",
    "remedy": "`risk-tasks measures` lists them all.",
}
