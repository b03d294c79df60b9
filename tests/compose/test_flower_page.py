"""Flower in a browser: it shows the tasks with the password and nothing without it."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compose.stack import ROOT, eventually
from tests.programs import require

_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--virtual-time-budget=10000", "--window-size=1500,900", "--hide-scrollbars"),
)


@pytest.fixture(scope="module")
def browse(tmp_path_factory) -> Callable[..., str]:
    """Returns a page after its scripts have run, or saves a picture of it."""

    def browse(url: str, picture: Path | None = None) -> str:
        wanted = f"--screenshot={picture}" if picture else "--dump-dom"
        profile = f"--user-data-dir={tmp_path_factory.mktemp('browser')}"
        done = subprocess.run(
            [require("chromium"), *_OPTIONS, profile, wanted, url],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return browse


@pytest.fixture(scope="module")
def site(stack, ports) -> str:
    """The URL of Flower with its password, after checks of both task types have run."""
    password = (ROOT / "secrets" / "flower_password").read_text().strip()
    url = f"http://operator:{password}@127.0.0.1:{ports['flower']}"
    with stack.load(seconds=12, checks=50, calls_per_s=4) as load:
        assert load.verdict()["lost"] == 0
    done = stack.compose("run", "--rm", "-T", "--entrypoint", "python", "cli", "-c", BY_JSON)
    assert done.returncode == 0, done.stderr
    return url


#: a check as JSON, as a service sends it that has Celery and not risk_tasks
BY_JSON = """
from risk_tasks.app import create_app
from risk_tasks.settings import Settings

app = create_app(Settings.read())
book = {"id": "pension-fund", "positions": {"AAPL": 7654321.0, "XOM": 5.0}}
asked = app.send_task("risk.check", kwargs={"portfolio": book}, queue="risk.critical")
assert asked.get(timeout=30)["status"] == "ok"
"""


def test_the_pages_show_that_the_tasks_succeed(site, browse, figures):
    """Task, lane, ids and number of checks, but no quantity; pictures are in build/flower."""
    folder = ROOT / "build" / "flower"
    folder.mkdir(parents=True, exist_ok=True)

    page = eventually(
        lambda: page if "SUCCESS" in (page := browse(f"{site}/tasks")) else "", 60, "tasks"
    )
    assert "risk.check_block" in page
    assert "normal: 50 checks, book-0 to book-49" in page
    assert "critical: 1 check, pension-fund, 2 positions" in page
    assert "7654321" not in page
    workers = browse(f"{site}/workers")
    assert "worker-" in workers
    assert "Online" in workers
    broker = browse(f"{site}/broker")
    assert "risk.critical" in broker
    for name in ("workers", "tasks", "broker"):
        browse(f"{site}/{name}", folder / f"{name}.png")
    figures(flower_pictures=[str(path.relative_to(ROOT)) for path in sorted(folder.glob("*.png"))])


def test_without_the_password_no_page_shows_a_task(site, browse):
    bare = "http://" + site.rpartition("@")[2]

    for path in ("/tasks", "/workers", "/broker"):
        page = browse(bare + path)
        assert "book-" not in page
        assert "risk." not in page
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(bare + path, timeout=10)
        assert refused.value.code == 401
        refused.value.close()
