"""`risk-tasks backtest`: its output and exit codes."""

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
    """A function that writes prices and a book with one unit of each instrument."""

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
    """Seven portfolios over 750 days, and nothing else on standard output and error."""
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
    """One row per confidence, the last five exceptions; a red zone is not a failure."""
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


def test_250_days_have_the_supervisory_factors():
    """A window of 750 of 1,000 days leaves 250."""
    document = only_json(command("backtest", sample.BOOKS, *PRICES, "--window", "750", "--json"))

    row = document["reports"][0]["backtests"][0]
    assert (row["n_observations"], row["n_exceptions"]) == (250, 1)
    assert (row["plus_factor"], row["frtb_multiplier"]) == (0.0, 1.5)
    assert row["reasons"] == {}


def test_exit_code_4_reports_a_red_zone(write):
    """Of any portfolio; the reports are printed too."""
    red = command("backtest", sample.BOOKS, *PRICES, "--exit-code", "--json")
    calm = command("backtest", *write(A=[100, 101] * 6), *TAIL, "--exit-code")

    assert red.returncode == 4
    assert len(json.loads(red.stdout)["reports"]) == 7
    assert (calm.returncode, "red" in calm.stdout) == (0, False)


TAIL = ["--confidence", "0.75", "--window", "4"]


def test_days_of_exceptions_count_back_from_the_last_day(write):
    """B halves two days before the last price; A does not."""
    flat, fall = [100, 101] * 6, [100, 101] * 4 + [100, 50, 50.5, 51]

    document = only_json(command("backtest", *write(A=flat, B=fall), *TAIL, "--json"))

    days = {report["portfolio_id"]: report["backtests"][0] for report in document["reports"]}
    assert days["a"]["exceptions"] == []
    assert days["b"]["exceptions"] == [-2]
    assert days["b"]["n_observations"] == 7


def test_a_portfolio_without_a_backtest_does_not_affect_the_others(write):
    """An instrument with too few prices, and one without any; neither reads as green."""
    book, *prices = write(A=[100, 101] * 6, B=[""] * 9 + [100, 101, 100])
    book.write_text(book.read_text() + "c,NOPE,1\n")

    document = only_json(command("backtest", book, *prices, *TAIL, "--json"))
    tables = command("backtest", book, *prices, *TAIL, "--exit-code")

    a, b, c = document["reports"]
    assert len(a["backtests"]) == 1
    assert "code" not in a
    assert (b["backtests"], b["code"], b["field"]) == ([], "invalid_market", "returns")
    assert (c["backtests"], c["code"]) == ([], "unknown_instrument")
    assert tables.returncode == 4
    assert "NOPE has no price in this market." in tables.stdout


REFUSED = {
    "a window as long as the history": (["--window", "1000"], "needs 1001 days"),
    "a window too short for the confidence": (["--window", "99"], "100 days"),
    "an invalid confidence": (["--confidence", "99"], "confidence"),
    "invalid prices": (["--prices", sample.BOOKS], ".toml"),
}


@pytest.mark.parametrize(("arguments", "named"), REFUSED.values(), ids=REFUSED.keys())
def test_an_invalid_option_is_an_error_of_two_lines(arguments, named):
    """For all portfolios."""
    assert_two_lines(command("backtest", sample.BOOKS, *PRICES, *arguments), named)


def test_a_missing_extra_is_named_with_the_command_to_install_it():
    """A producer has the command but not Numba."""
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

    assert_two_lines(done, "needs numba, which is not installed", "risk-tasks[worker]")
