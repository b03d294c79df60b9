"""Progress lines: only on a terminal, and only on standard error."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from risk_tasks import sample
from risk_tasks.embedding.fleet import free_port
from tests.integration.dev_system import READY_TIMEOUT_S
from tests.integration.support import command, wait_until
from tests.integration.terminals import Shown, on_terminal

pytestmark = pytest.mark.integration

#: the codes that erase a line and show the cursor again
ERASED, CURSOR = "\x1b[2K", "\x1b[?25h"
BOOKS, PRICES = sample.BOOKS, sample.PRICES

#: commands with the messages that they show; URL stands for that of a running server
SHOWN: dict[str, tuple[list[object], list[str]]] = {
    "a backtest": (
        ["backtest", BOOKS, "--prices", PRICES, "--json"],
        ["Reading the book", "Reading prices", "Testing portfolio 7 of 7", "Writing"],
    ),
    "a market": (
        ["market", "publish", PRICES, "--json", "--broker-url", "URL"],
        ["Reading prices", "Publishing"],
    ),
    "markets": (["market", "list", "--json", "--broker-url", "URL"], ["Reading the markets"]),
    "limits": (
        ["limits", "publish", sample.LIMITS, "--json", "--broker-url", "URL"],
        ["Reading limits", "Publishing"],
    ),
    "positions": (
        ["positions", "set", BOOKS, "--json", "--broker-url", "URL"],
        ["Reading the book", "Setting portfolio 7 of 7"],
    ),
    "live portfolios": (
        ["positions", "list", "--json", "--broker-url", "URL"],
        ["Reading the live portfolios"],
    ),
    "dead letters": (
        ["dlq", "list", "--json", "--broker-url", "URL"],
        ["Reading the dead letters"],
    ),
    "its state": (["status", "--json", "--broker-url", "URL"], ["Adding up the measurements"]),
    "a system": (["doctor", "--json", "--broker-url", "URL"], ["Examining the server"]),
}


def words_for(words: list[object], url: str) -> list[object]:
    return [url if word == "URL" else word for word in words]


def assert_shown_and_gone(shown: Shown, messages: list[str]) -> None:
    """Check that `messages` were shown in order and erased afterwards."""
    places = [shown.terminal.find(message) for message in messages]
    assert -1 not in places, shown.terminal
    assert places == sorted(places)
    assert shown.terminal.count(CURSOR) == shown.terminal.count("\x1b[?25l")
    assert ERASED in shown.terminal[shown.terminal.rindex(" ...") :]


@pytest.mark.parametrize(("words", "messages"), SHOWN.values(), ids=SHOWN)
def test_on_a_terminal_progress_is_shown_and_standard_output_is_only_json(words, messages, server):
    shown = on_terminal(["-m", "risk_tasks", *words_for(words, server.url)])

    assert shown.returncode == (1 if "doctor" in words else 0), shown.terminal
    assert_shown_and_gone(shown, messages)
    json.loads(shown.stdout)


@pytest.mark.parametrize(("words", "messages"), SHOWN.values(), ids=SHOWN)
def test_outside_a_terminal_no_progress_is_shown(words, messages, server):
    """FORCE_COLOR does not change that."""
    done = command(*words_for(words, server.url), FORCE_COLOR="1", TTY_COMPATIBLE="1")

    assert done.stderr == ""
    json.loads(done.stdout)


def test_check_shows_its_steps(fleet, tmp_path):
    """With the reports on the same terminal, in a pipe, or in a file."""
    words = ["-m", "risk_tasks", "check", BOOKS, "--broker-url", fleet.url]
    messages = ["Reading the book", "Checking 7 portfolios", "Writing"]

    assert_shown_and_gone(on_terminal([*words, "--json"]), messages)
    beside = on_terminal(words, stdout_too=True)
    assert_shown_and_gone(beside, messages)
    assert "value at risk" in beside.terminal[beside.terminal.rindex(CURSOR) :]
    written = on_terminal([*words, "--json", "-o", "out.json"], cwd=tmp_path)
    assert_shown_and_gone(written, messages)
    assert written.stdout == ""
    assert len(json.loads((tmp_path / "out.json").read_text())["reports"]) == 7


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        (["demo"], ["Starting a server, two workers and a scheduler", "Checking", "Stopping"]),
        (
            ["check", BOOKS, "--prices", PRICES],
            ["Reading prices", "Starting a server and a worker", "Checking 7", "Stopping"],
        ),
    ],
    ids=["demo", "check"],
)
def test_starting_a_system_is_shown(words, messages):
    shown = on_terminal(["-m", "risk_tasks", *words, "--json"])

    assert shown.returncode == 0, shown.terminal
    assert_shown_and_gone(shown, messages)
    assert len(json.loads(shown.stdout)["reports"]) == 7


def test_dev_shows_that_it_starts_and_stops(tmp_path):
    """And no progress while it runs."""
    ready = tmp_path / "ready.json"

    def stop(process: subprocess.Popen[str]) -> None:
        wait_until(lambda: ready.exists() or process.poll() is not None, READY_TIMEOUT_S, "ready")
        process.send_signal(signal.SIGTERM)

    shown = on_terminal(["-m", "risk_tasks", "dev", "--ready-file", ready], meanwhile=stop)

    assert (shown.returncode, shown.stdout) == (0, ""), shown.terminal
    assert_shown_and_gone(shown, ["Starting", "worker-1", "Stopping", "Stopped."])


def test_progress_is_erased_before_an_error_is_printed(tmp_path):
    """The two lines of the error remain."""
    away = f"redis://127.0.0.1:{free_port()}/0"
    shown = on_terminal(["-m", "risk_tasks", "check", BOOKS, "--broker-url", away])

    assert shown.returncode == 1
    assert "Checking 7 portfolios" in shown.terminal
    assert "does not answer" in shown.terminal[shown.terminal.rindex(CURSOR) :]


def test_a_dumb_terminal_shows_no_progress(server):
    words = ["positions", "set", BOOKS, "--broker-url", server.url]
    shown = on_terminal(["-m", "risk_tasks", *words], TERM="dumb")

    assert (shown.returncode, shown.terminal) == (0, "")
