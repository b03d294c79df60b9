"""Young instruments through a worker: short windows, proxies, and scaled outcomes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from risk_tasks import Limit, LimitSet, MarketSnapshot, MeasureSettings, Portfolio, read_market
from tests.integration.support import command, unique
from tests.unit.model.test_screening import weekdays

pytestmark = pytest.mark.integration

N_DAYS, N_YOUNG = 1000, 130
LIMITS = LimitSet("s", [Limit("value_at_risk", hard=60_000)])
REJECTING = LimitSet("s", [Limit("value_at_risk", hard=60_000, short_window="reject")])
OLD = Portfolio("old", {"OLD": 1e6}, nav=1e6)
MIXED = Portfolio("mixed", {"OLD": 1e6, "NEW": 1e-6}, nav=1e6)


def young_returns():
    """Return those of OLD, wild long ago, and of NEW, which is young."""
    dice = np.random.default_rng(3)
    returns = dice.normal(0.0, 0.01, (N_DAYS, 2))
    returns[:500, 0] = dice.normal(0.0, 0.04, 500)
    returns[:-N_YOUNG, 1] = np.nan
    return returns


@pytest.fixture
def young(risk) -> str:
    name = unique("young")
    snapshot = MarketSnapshot(
        datetime(2024, 1, 1, tzinfo=UTC), ["OLD", "NEW"], np.ones(2), young_returns()
    )
    risk.publish_market(snapshot, name)
    return name


def test_a_millionth_of_a_young_share_warns_and_never_accepts(risk, young):
    """And rejects if the limit says so; the book without it is rejected for its loss."""
    old, mixed = risk.check_many([OLD, MIXED], limits=LIMITS, market=young)
    strict = risk.check(MIXED, limits=REJECTING, market=young)

    assert (old.decision, mixed.decision, strict.decision) == ("reject", "warn", "reject")
    assert mixed.measures["value_at_risk"].reason == "short_window"
    assert mixed.measures["value_at_risk"].n_observations == N_YOUNG
    assert next(str(one) for one in mixed.data_quality) == "short_window:NEW"
    assert [gap.reason for gap in strict.not_evaluated] == ["short_window"]


def test_a_table_keeps_the_number_of_a_short_window_beside_its_status(risk, young):
    positions = pa.table(
        {
            "portfolio_id": ["old", "mixed", "mixed"],
            "instrument": ["OLD", "OLD", "NEW"],
            "quantity": [1e6, 1e6, 1e-6],
        }
    )

    table = risk.check_table(positions, limits=LIMITS, market=young)

    assert table["window_status"].to_pylist() == ["ok", "short"]
    assert table["n_observations"].to_pylist() == [N_DAYS, N_YOUNG]
    assert table["decision"].to_pylist() == ["reject", "warn"]
    assert 0 < table["value_at_risk"][1].as_py() < 60_000


def test_scaled_outcomes_reject_as_the_book_without_the_young_share(risk, young):
    settings = MeasureSettings(history="per_instrument")

    old, mixed = risk.check_many([OLD, MIXED], limits=LIMITS, market=young, settings=settings)

    assert (old.decision, mixed.decision) == ("reject", "reject")
    assert mixed.measures["value_at_risk"].n_observations == N_DAYS
    assert "scaled:NEW" in [str(one) for one in mixed.data_quality]


@pytest.fixture
def files(tmp_path):
    """Return prices, of which NEW has the last days only, a book and limits."""
    returns = young_returns()
    grown = np.cumprod(1.0 + np.nan_to_num(returns), axis=0)
    prices, book, limits = (tmp_path / name for name in ("p.csv", "b.csv", "l.toml"))
    rows = ["date,OLD,NEW"] + [
        f"{day},{old:.6f},{'' if np.isnan(late) else f'{new:.6f}'}"
        for day, (old, new), late in zip(
            weekdays(N_DAYS), grown.tolist(), returns[:, 1].tolist(), strict=True
        )
    ]
    prices.write_text("\n".join(rows) + "\n")
    book.write_text("portfolio_id,instrument,quantity,nav\nm,OLD,1000,1e6\nm,NEW,1e-6,1e6\n")
    limits.write_text('id = "s"\n[[limit]]\nmeasure = "value_at_risk"\nhard = 1e9\n')
    return prices, book, limits


@pytest.mark.parametrize(
    ("options", "decision", "found"),
    [
        ([], "warn", "short_window"),
        (["--proxy", "NEW=OLD"], "accept", "proxied"),
        (["--history", "per_instrument"], "accept", "scaled"),
    ],
)
def test_the_command_has_the_ways_out(files, options, decision, found):
    prices, book, limits = files

    done = command("check", book, "--prices", prices, "--limits", limits, "--json", *options)

    (report,) = json.loads(done.stdout)["reports"]
    assert report["decision"] == decision
    assert found in [one["kind"] for one in report["data_quality"]]


def test_a_market_with_a_proxy_names_it_in_reports(risk, files):
    name = unique("proxied")
    risk.publish_market(read_market(files[0], proxies={"NEW": "OLD"}), name, strict=True)

    report = risk.check(MIXED, limits=LIMITS, market=name)

    assert "proxied:NEW" in [str(one) for one in report.data_quality]
    assert report.measures["volatility"].n_observations == N_DAYS - 1
