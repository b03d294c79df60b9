"""The commands on live portfolios: their output and exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from risk_tasks import sample
from risk_tasks.connection import connect
from risk_tasks.model.live import LimitState
from risk_tasks.queues import Lane
from risk_tasks.store.breaches import ListenerStore
from tests.integration.live_worker import LiveWorker
from tests.integration.support import environment, only_json, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def live(call, server):
    """A function that runs a command on the server of this test."""
    return lambda *words: call(*words, "--broker-url", server.url)


def test_positions_are_set_changed_shown_and_removed(live):
    assert live("positions", "list").stdout.startswith("No live portfolios.")

    done = live("positions", "set", "p", "AAPL=0.1", "A=B=-2", "--nav", "7", "--tag", "desk=fx")
    assert done.stdout == "p has version 1\n"
    for _ in range(2):
        done = live("positions", "change", "p", "AAPL=0.2", "XOM=1", "--event-id", "e", "--json")
        assert only_json(done) == [{"id": "p", "version": 2}]

    assert only_json(live("positions", "show", "p", "--json")) == {
        "id": "p",
        "positions": {"A=B": -2.0, "AAPL": 0.1 + 0.2, "XOM": 1.0},
        "cash": None,
        "nav": 7.0,
        "tags": {"desk": "fx"},
        "version": 2,
    }
    shown = live("positions", "show", "p").stdout
    assert "0.30000000000000004" in shown
    assert "version 2, nav 7.0, desk=fx" in shown
    assert live("positions", "remove", "p").stdout == "p removed at version 2\n"
    assert only_json(live("positions", "list", "--json")) == []


def test_a_book_is_set_from_a_file(live, server, book):
    done = live("positions", "set", sample.BOOKS)

    assert done.stdout.splitlines() == [f"{one.id} has version 1" for one in book]
    rows = only_json(live("positions", "list", "--json"))
    assert [row["id"] for row in rows] == sorted(one.id for one in book)
    assert {(row["reported"], row["age_s"]) for row in rows} == {(None, None)}

    LiveWorker(server.client).work(LimitState.WARN)
    rows = only_json(live("positions", "list", "--json"))
    assert {row["reported"] for row in rows} == {1}
    assert all(row["limits"] == {"gross": "warn"} for row in rows)
    assert "gross warn" in live("positions", "list").stdout


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("set", "p", "AAPL"), "positions"),
        (("set", "p", "AAPL=x"), "positions['AAPL']"),
        (("set", "p", "AAPL=nan"), "positions['AAPL']"),
        (("set", "p", "AAPL=1", "AAPL=2"), "positions"),
        (("set", "p", "AAPL=1", "--tag", "fx"), "tag"),
        (("set", str(sample.BOOKS), "--nav", "1"), "--nav"),
        (("set", "nowhere.toml"), "nowhere.toml"),
        (("change", "p", "=1"), "deltas"),
        (("change", "p", "AAPL=inf"), "deltas['AAPL']"),
        (("change", "missing", "AAPL=1"), "portfolio_id"),
        (("show", "missing"), "portfolio_id"),
        (("remove", "missing"), "portfolio_id"),
    ],
    ids=str,
)
def test_an_error_is_two_lines_with_the_remedy(live, words, field):
    done = live("positions", *words)

    assert (done.returncode, done.stdout) == (1, "")
    first, remedy = done.stderr.splitlines()
    assert first.startswith(f"risk-tasks: {field}")
    assert remedy


def test_the_latest_report_is_printed(live, server):
    live("positions", "set", "p", "AAPL=1")
    assert live("report", "p").stdout == "The first report of p is not complete.\n"
    assert only_json(live("report", "p", "--json")) is None

    LiveWorker(server.client).work(LimitState.OK, observed=1234.0)
    live("positions", "change", "p", "AAPL=1")

    latest = only_json(live("report", "p", "--json"))
    assert (latest["version"], latest["current_version"]) == (1, 2)
    assert latest["report"]["measures"]["gross_exposure"]["value"] == 1234.0
    shown = live("report", "p").stdout
    assert "version 2 is being computed" in shown
    assert "gross exposure" in shown
    assert live("report", "missing").returncode == 1


def test_changes_are_watched(live, server):
    worker = LiveWorker(server.client)
    live("positions", "set", "p", "AAPL=1")
    worker.work(LimitState.HARD, observed=1234.0)
    live("positions", "remove", "p")

    done = live("watch", "--since", "0", "--idle-timeout-s", "0", "--json")
    hard, gone = map(json.loads, done.stdout.splitlines())
    assert (hard["before"], hard["standing"]["state"]) == ("ok", "hard")
    assert (hard["standing"]["observed"], hard["version"]) == (1234.0, 1)
    assert (gone["before"], gone["standing"]["state"]) == ("hard", "none")

    first, second = live("watch", "--since", "0", "--idle-timeout-s", "0").stdout.splitlines()
    assert first.endswith("p v1  gross  ok -> hard  1,234, threshold 0.05")
    assert second.endswith("p v1  gross  hard -> none")
    assert len(live("watch", "--since", "0", "--count", "1").stdout.splitlines()) == 1
    shared = (
        "watch",
        "--since",
        "0",
        "--idle-timeout-s",
        "0",
        "--group",
        "desk",
        "--reader",
        "one",
    )
    assert len(live(*shared).stdout.splitlines()) == 2
    assert live(*shared).stdout == ""
    assert live("watch", "--since", "yesterday").returncode == 1
    assert live("watch", "--group", "desk").returncode == 1


def test_watch_continues_until_ctrl_c(live, server):
    arguments = ["watch", "--json", "--broker-url", server.url]
    with subprocess.Popen(
        [sys.executable, "-m", "risk_tasks", *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        # It has its start id once it waits for changes.
        wait_until(lambda: server.client.info("clients")["blocked_clients"], 30)
        live("positions", "set", "p", "AAPL=1")
        LiveWorker(server.client).work(LimitState.WARN)
        assert json.loads(process.stdout.readline())["portfolio_id"] == "p"
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)

    assert (process.returncode, rest, errors) == (0, "", "")


def test_listeners_are_added_listed_and_removed(live, server):
    assert live("listeners", "list").stdout.startswith("No listeners.")

    assert live("listeners", "add", "desk").stdout == "desk receives every change after id 0\n"
    assert only_json(live("listeners", "add", "desk", "--json")) == {
        "queue": "desk",
        "added": False,
    }
    assert only_json(live("listeners", "list", "--json")) == [
        {"queue": "desk", "unread": 0, "last_sent": "0"}
    ]
    rows = [line.split() for line in live("listeners", "list").stdout.splitlines()]
    assert rows == [["queue", "unread", "last_sent"], ["desk", "0", "0"]]
    with connect(server.url) as client:
        assert ListenerStore(client).all() == {"desk": "0"}
    assert live("listeners", "remove", "desk").stdout == "desk receives no more changes\n"
    for words in (
        ("remove", "desk"),
        ("add", Lane.CRITICAL.queue),
        ("add", "desk", "--since", "yesterday"),
    ):
        assert live("listeners", *words).returncode == 1
