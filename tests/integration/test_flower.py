"""Flower: its password, its pages about both kinds of tasks, and its effect on workers."""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery

from risk_tasks import Portfolio, RiskClient
from risk_tasks.embedding.fleet import free_port
from tests.integration.dev_system import dev
from tests.integration.support import command, ended, running, wait_until

pytestmark = pytest.mark.integration

#: a quantity that no page may show
HELD = 7_654_321.0


@dataclass(frozen=True)
class Site:
    """A client of Flower, with the password or without."""

    url: str
    broker_url: str
    password: str

    def ask(
        self, path: str, *, password: str | None = None, method: str = "GET"
    ) -> tuple[int, str]:
        word = self.password if password is None else password
        request = urllib.request.Request(self.url + path, method=method)
        if word:
            token = base64.b64encode(f"operator:{word}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def tasks(self) -> list[dict[str, Any]]:
        status, body = self.ask("/api/tasks")
        assert status == 200
        return list(json.loads(body).values())


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    """`dev --flower` with a generated password."""
    with dev(tmp_path_factory.mktemp("flower"), "--flower") as system:
        ready = system.ready()
        path = Path(ready["flower_password_file"])
        assert path.stat().st_mode & 0o777 == 0o600
        assert len(path.read_text()) >= 24
        yield Site(ready["flower_url"], ready["broker_url"], path.read_text())
        assert path.read_text() not in system.log.read_text()
        assert ended(system.process, system.log, timeout_s=30) == 0


@pytest.fixture(scope="module")
def shown(site, market) -> dict[str, dict[str, Any]]:
    """The page of one check of each task, by the name of the task."""
    app = Celery(broker=site.broker_url, backend=site.broker_url, set_as_current=False)
    positions = {"AAPL": HELD, "XOM": -HELD}

    def both_told() -> dict[str, dict[str, Any]] | None:
        # Workers publish no events until the first command of Flower reaches them.
        risk.check_many([Portfolio(f"book-{n}", positions) for n in range(3)])
        result = app.send_task(
            "risk.check",
            kwargs={"portfolio": {"id": "<b>pension</b>", "positions": positions}},
            queue="risk.critical",
        )
        assert result.get(timeout=20)["decision"] == "none"
        done = {task["name"]: task for task in site.tasks() if task["state"] == "SUCCESS"}
        return done if {"risk.check", "risk.check_block"} <= set(done) else None

    with RiskClient(site.broker_url, timeout_s=20) as risk:
        risk.publish_market(market)
        found = wait_until(both_told, 40, "tasks of both doors")
    app.backend.result_consumer.stop()
    app.close()
    return found


PAGES = ["/", "/workers", "/tasks", "/broker", "/api/tasks", "/api/workers", "/metrics"]


@pytest.mark.parametrize("path", PAGES)
def test_pages_need_the_password(site, path):
    """A wrong one is refused."""
    assert site.ask(path, password="")[0] == 401
    assert site.ask(path, password=site.password[:-1])[0] == 401
    assert site.ask(path)[0] == 200


def test_the_health_page_is_public(site):
    assert site.ask("/healthcheck", password="") == (200, "OK")


@pytest.mark.parametrize(
    "path",
    [
        "/api/worker/shutdown/worker-1",
        "/api/worker/pool/grow/worker-1",
        "/api/worker/queue/cancel-consumer/worker-1?queue=risk.normal",
        "/api/task/async-apply/risk.check",
        "/api/task/send-task/risk.check",
        "/api/task/revoke/1",
    ],
)
def test_no_action_is_allowed(site, path):
    """Even with the password."""
    assert site.ask(path, method="POST")[0] == 403


def test_a_task_is_shown_with_lane_ids_and_counts(shown):
    """Of both kinds; plain Celery sent the second."""
    block, document = shown["risk.check_block"], shown["risk.check"]

    assert block["args"] == "normal: 3 checks, book-0 to book-2"
    assert document["args"] == "critical: 1 check, <b>pension</b>, 2 positions"
    assert document["result"] == "<b>pension</b>: none, 0 breaches"
    assert block["kwargs"] == document["kwargs"] == "{}"


def test_no_page_contains_positions(site, shown):
    """Nor is an id interpreted as HTML."""
    worker = shown["risk.check"]["worker"]
    paths = [f"/task/{task['uuid']}" for task in shown.values()]

    for path in [*paths, "/api/tasks", f"/worker/{worker}", "/api/workers?refresh=1"]:
        status, body = site.ask(path)
        assert status == 200, path
        assert str(int(HELD)) not in body, path
        assert path.startswith("/api") or "<b>pension" not in body, path


def test_workers_publish_task_events_only_while_flower_runs(fleet, tmp_path):
    """Before and after it, tasks publish no events."""
    with (
        redis.Redis.from_url(fleet.url) as client,
        RiskClient(fleet.url, timeout_s=20) as risk,
        _events(client) as published,
    ):
        risk.check(Portfolio("p", {}))
        assert published() == []

        password = tmp_path / "password"
        password.write_text("tulip")
        settings = {
            "RISK_TASKS_BROKER_URL": fleet.url,
            "RISK_TASKS_FLOWER_PASSWORD_FILE": str(password),
        }
        log = tmp_path / "flower.log"
        arguments = ["-m", "risk_tasks", "flower", "--port", str(free_port())]
        with running(*arguments, log=log, settings=settings) as flower:
            wait_until(lambda: risk.check(Portfolio("p", {})) and published(), 40, "events")
            assert ended(flower, log) == 0
        assert "tulip" not in log.read_text()

        # The last command reaches each worker at a different time.
        wait_until(lambda: risk.check(Portfolio("p", {})) and not published(), 20, "silence")
        for _ in range(10):
            risk.check(Portfolio("p", {}))
        assert published() == []


@contextmanager
def _events(client: redis.Redis) -> Iterator[Any]:
    """Yield a function that returns the task events since its last call."""
    with client.pubsub(ignore_subscribe_messages=True) as events:
        events.psubscribe("*celeryev*task*")
        events.get_message(timeout=1)

        def published() -> list[Any]:
            found = []
            while message := events.get_message(timeout=0.3):
                found.append(message)
            return found

        yield published


def test_flower_does_not_start_without_a_password():
    """The error names the setting."""
    done = command("flower")

    assert done.returncode == 1
    assert "RISK_TASKS_FLOWER_PASSWORD_FILE" in done.stderr
    assert "Traceback" not in done.stderr


def test_flower_serves_below_a_path(site, tmp_path):
    """As behind a proxy that keeps the path: pages, links, static files and the password."""
    port = free_port()
    settings = {"RISK_TASKS_FLOWER_PASSWORD": "pw", "RISK_TASKS_BROKER_URL": site.broker_url}
    arguments = ["-m", "risk_tasks", "flower", "--port", port, "--url-prefix", "/ops/flower/"]
    log = tmp_path / "flower.log"
    with running(*arguments, log=log, settings=settings) as process:
        below = Site(f"http://127.0.0.1:{port}", site.broker_url, "pw")
        wait_until(lambda: "flower.ready" in log.read_text(), 30, "Flower")

        status, page = below.ask("/ops/flower/workers")
        assert status == 200
        links = re.findall(r'(?:href|src)="(/[^"]*)"', page)
        assert links
        assert all(link.startswith("/ops/flower/") for link in links)
        assert below.ask(next(link for link in links if ".css" in link))[0] == 200
        assert below.ask("/ops/flower/healthcheck", password="")[0] == 200
        for path in ("/ops/flower/workers", "/ops/flower/metrics"):
            assert below.ask(path, password="")[0] == 401
        assert below.ask("/workers")[0] == 404
        assert ended(process, log, timeout_s=30) == 0
