"""What looks wrong in the prices of a market: printed, stored, refused, and named in reports."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import count

import pyarrow as pa
import pytest

from risk_tasks import Portfolio, read_market
from risk_tasks.errors import DoubtfulMarketError
from tests.integration.support import command, only_json, unique
from tests.unit.model.test_screening import prices, weekdays

pytestmark = pytest.mark.integration

_SEEDS = count(1)


def write_prices(path, table):
    """Write a table of prices as CSV."""
    head = ",".join(["date", *(f"I{i}" for i in range(table.shape[1]))])
    rows = (
        ",".join([str(day), *map(str, row)])
        for day, row in zip(weekdays(len(table)), table.tolist(), strict=True)
    )
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


@pytest.fixture
def glitch(tmp_path):
    """Prices of three instruments, of which I1 is in another unit for three days.

    Each test has other prices, since the server keeps a market and its findings under one id.
    """
    table = prices(next(_SEEDS))
    table[250:253, 1] *= 100.0
    return write_prices(tmp_path / "glitch.csv", table)


@pytest.fixture
def name() -> str:
    return unique("market")


@pytest.fixture
def on_fleet(fleet) -> list[str]:
    return ["--broker-url", fleet.url]


def test_publish_prints_what_looks_wrong(glitch, on_fleet, name):
    done = command("market", "publish", glitch, "--name", name, *on_fleet)
    shown = command("market", "show", "--name", name, *on_fleet)

    assert (done.returncode, shown.returncode) == (0, 0)
    for text in (done.stdout, shown.stdout):
        assert "jump" in text
        assert "I1" in text
        assert "looks like a change of unit" in " ".join(text.split())


def test_publish_prints_findings_as_json_and_stores_them(glitch, on_fleet, name, risk):
    published = only_json(command("market", "publish", glitch, "--name", name, "--json", *on_fleet))
    shown = only_json(command("market", "show", "--name", name, "--json", *on_fleet))
    rows = only_json(command("market", "list", "--json", *on_fleet))

    (finding,) = published["findings"]
    assert (finding["kind"], finding["instrument"]) == ("jump", "I1")
    assert shown == published
    assert next(row["finding_count"] for row in rows if row["name"] == name) == 1
    assert [str(one) for one in risk.load_market(name).findings] == ["jump:I1"]


def test_strict_publishes_nothing(glitch, on_fleet, name, risk):
    done = command("market", "publish", glitch, "--name", name, "--strict", *on_fleet)

    assert done.returncode == 1
    assert "jump:I1" in done.stderr
    with pytest.raises(DoubtfulMarketError, match="jump:I1"):
        risk.publish_market(read_market(glitch), name, strict=True)
    assert risk.load_market(name) is None


def test_a_new_price_that_jumps_is_found_and_strict_refuses_it(tmp_path, name, risk):
    market = read_market(write_prices(tmp_path / "prices.csv", prices(0)))
    risk.publish_market(market, name, strict=True)
    marks = dict(zip(market.instruments, market.prices.tolist(), strict=True))
    marks["I1"] *= 100.0
    later = market.as_of + timedelta(hours=1)

    with pytest.raises(DoubtfulMarketError, match="jump:I1"):
        risk.publish_prices(marks, as_of=later, name=name, strict=True)
    assert risk.load_market(name).id == market.id

    risk.publish_prices(marks, as_of=later, name=name)

    assert [str(one) for one in risk.load_market(name).findings] == ["jump:I1"]


def test_a_report_names_the_finding_of_an_instrument_that_it_holds(glitch, name, risk):
    """And a table does; a portfolio without the instrument has no finding."""
    risk.publish_market(read_market(glitch), name)
    holds = Portfolio("holds", {"I0": 1.0, "I1": 2.0})
    others = Portfolio("others", {"I0": 1.0, "I2": 2.0})

    with_it, without = risk.check_many([holds, others], market=name)

    (finding,) = with_it.data_quality
    assert str(finding) == "jump:I1"
    assert "looks like a change of unit" in finding.detail
    assert without.data_quality == ()


def test_a_table_names_the_finding_of_an_instrument_that_a_row_holds(glitch, name, risk):
    risk.publish_market(read_market(glitch), name)
    positions = pa.table(
        {
            "portfolio_id": ["holds", "holds", "others"],
            "instrument": ["I0", "I1", "I2"],
            "quantity": [1.0, 2.0, 3.0],
        }
    )

    table = risk.check_table(positions, market=name)

    assert table["data_quality"].to_pylist() == [["jump:I1"], []]


def test_check_shows_what_looks_wrong_after_the_report(glitch, tmp_path):
    book = tmp_path / "book.csv"
    book.write_text("portfolio_id,instrument,quantity\nheld,I1,5\n")

    done = command("check", book, "--prices", glitch, "--json")

    (report,) = json.loads(done.stdout)["reports"]
    assert [one["kind"] for one in report["data_quality"]] == ["jump"]
    assert "looks like a change of unit" in " ".join(done.stderr.split())


def test_backtest_shows_what_looks_wrong_after_the_report(glitch, tmp_path):
    book = tmp_path / "book.csv"
    book.write_text("portfolio_id,instrument,quantity\nheld,I1,5\n")

    done = command("backtest", book, "--prices", glitch, "--json")

    assert json.loads(done.stdout)["window"] == 250
    assert "looks like a change of unit" in " ".join(done.stderr.split())
