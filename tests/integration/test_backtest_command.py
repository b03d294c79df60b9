"""`risk-tasks backtest` as people and scripts call it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from risk_tasks import sample
from tests.integration.support import command, environment, only_json
from tests.integration.test_commands import BOOK_IDS, MARKET_KEYS, assert_two_lines

pytestmark = pytest.mark.integration

PRICES = ["--prices", sample.PRICES]
EXCEPTIONS = [14, 15, 21, 10, 14, 0, 15]
ZONES = ["yellow", "yellow", "red", "green", "yellow", "green", "yellow"]


@pytest.fixture
def write(tmp_path):
    """Writes prices of days that are numbered, and a book that holds one of each instrument."""

    def write(**prices):
        names, rows = list(prices), zip(*prices.values())
        lines = [
            f"2022-{1 + n // 28:02}-{1 + n % 28:02}," + ",".join(map(str, row))
            for n, row in enumerate(rows)
        ]
        market, book = tmp_path / "prices.csv", tmp_path / "book.csv"
        market.write_text("\n".join(["date," + ",".join(names), *lines]) + "\n")
        held = [f"{name.lower()},{name},1" for name in names]
        book.write_text("\n".join(["portfolio_id,instrument,quantity", *held]) + "\n")
        return book, "--prices", market

    return write


def test_the_sample_book_is_tested_as_json():
    """Seven portfolios over 750 days, all that was found, and nothing else on the screen."""
    done = command("backtest", sample.BOOKS, *PRICES, "--json")

    document = only_json(done)
    assert done.stderr == ""
    assert document.keys() == {"market", "window", "var_convention", "reports"}
    assert set(document["market"]) == MARKET_KEYS
    assert (document["window"], document["var_convention"]) == (250, "conservative")
    assert [report["portfolio_id"] for report in document["reports"]] == BOOK_IDS
    rows = [row for report in document["reports"] for row in report["backtests"]]
    assert [(row["confidence"], row["n_observations"]) for row in rows] == [("0.99", 750)] * 7
    assert [row["n_exceptions"] for row in rows] == EXCEPTIONS
    assert [row["zone"] for row in rows] == ZONES
    for row in rows:
        assert len(row["exceptions"]) == row["n_exceptions"]
        assert all(-750 < day <= 0 for day in row["exceptions"])
        assert 0 <= row["kupiec_p"] <= 1


def test_the_sample_book_is_printed_as_tables():
    """A row per confidence, the last five exceptions; a red zone is no failure of the command."""
    done = command("backtest", sample.BOOKS, "--confidence", "0.99", "--confidence", "0.975")

    assert done.returncode == 0, done.stderr
    assert "sample prices" in done.stderr
    lines = done.stdout.splitlines()
    at = lines.index("concentrated")
    assert lines[at + 2].split()[:5] == ["0.99", "750", "21", "7.5", "red"]
    assert lines[at + 3].split()[:5] == ["0.975", "750", "38", "18.8", "red"]
    assert lines[at + 4] == "last exceptions at 0.99 on days -161, -154, -138, -137, -74"
    assert [name for name in BOOK_IDS if name not in lines] == []
    assert max(map(len, lines)) <= 80


def test_250_days_of_record_have_the_supervisors_factors():
    """From a window that leaves so many."""
    document = only_json(command("backtest", sample.BOOKS, *PRICES, "--window", "750", "--json"))

    row = document["reports"][0]["backtests"][0]
    assert (row["n_observations"], row["n_exceptions"]) == (250, 1)
    assert (row["plus_factor"], row["frtb_multiplier"]) == (0.0, 1.5)
    assert row["reasons"] == {}


def test_a_red_zone_may_be_told_by_the_exit_code(write):
    """Of one portfolio; the report is printed all the same."""
    red = command("backtest", sample.BOOKS, *PRICES, "--exit-code", "--json")
    calm = command("backtest", *write(A=[100, 101] * 6), *TAIL, "--exit-code")

    assert red.returncode == 4
    assert len(json.loads(red.stdout)["reports"]) == 7
    assert (calm.returncode, "red" in calm.stdout) == (0, False)


TAIL = ["--confidence", "0.75", "--window", "4"]


def test_the_day_of_an_exception_is_counted_back_from_the_last(write):
    """Two days before the last price B falls by half, and A stays."""
    flat, fall = [100, 101] * 6, [100, 101] * 4 + [100, 50, 50.5, 51]

    document = only_json(command("backtest", *write(A=flat, B=fall), *TAIL, "--json"))

    days = {report["portfolio_id"]: report["backtests"][0] for report in document["reports"]}
    assert days["a"]["exceptions"] == []
    assert days["b"]["exceptions"] == [-2]
    assert days["b"]["n_observations"] == 7


def test_a_portfolio_that_cannot_be_tested_leaves_the_others_alone(write):
    """Too many days without a price, and an instrument without any; nothing reads as green."""
    book, *prices = write(A=[100, 101] * 6, B=[100, ""] * 5 + [100, 100])
    book.write_text(book.read_text() + "c,NOPE,1\n")

    document = only_json(command("backtest", book, *prices, *TAIL, "--json"))
    told = command("backtest", book, *prices, *TAIL, "--exit-code")

    a, b, c = document["reports"]
    assert len(a["backtests"]) == 1
    assert "code" not in a
    assert (b["backtests"], b["code"], b["field"]) == ([], "invalid_market", "returns")
    assert (c["backtests"], c["code"]) == ([], "unknown_instrument")
    assert told.returncode == 4
    assert "NOPE has no price in this market." in told.stdout


REFUSED = {
    "a window as long as the history": (["--window", "1000"], "needs 1001 days"),
    "a window that does not reach the tail": (["--window", "99"], "100 days"),
    "a confidence that is none": (["--confidence", "99"], "confidence"),
    "prices that are none": (["--prices", sample.BOOKS], ".toml"),
}


@pytest.mark.parametrize(("arguments", "named"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_tested_at_all_is_two_lines(arguments, named):
    """For all portfolios at once."""
    assert_two_lines(command("backtest", sample.BOOKS, *PRICES, *arguments), named)


def test_without_the_extra_it_says_what_to_install():
    """A producer has the command, and no Numba."""
    code = (
        "import sys; sys.modules['numba'] = None; from risk_tasks.cli import main; "
        "sys.argv = ['risk-tasks', 'backtest', *sys.argv[1:]]; main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, sample.BOOKS, *PRICES],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert_two_lines(done, "numba is not installed", "risk-tasks[worker]")
