"""`doctor` on healthy and on misconfigured systems."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from celery import Celery

from risk_tasks import Limit, LimitSet, Portfolio, RiskClient
from risk_tasks.embedding import FleetPlan, running_fleet
from tests.integration.support import Server, command, only_json, wait_until

pytestmark = pytest.mark.integration


def findings(doctor, url: str, exit_code: int) -> dict[str, dict]:
    """Run `doctor` and return its findings by subject."""
    done = doctor("doctor", "--json", "--broker-url", url)
    assert done.returncode == exit_code, done.stdout + done.stderr
    rows = json.loads(done.stdout)
    for row in rows:
        assert set(row) == {"subject", "state", "found", "remedy"}
        assert row["state"] == "ok" or row["remedy"], row
    return {row["subject"]: row for row in rows}


def bad(found: dict[str, dict]) -> set[str]:
    return {subject for subject, row in found.items() if row["state"] == "bad"}


def test_a_healthy_fleet_is_ok(fleet):
    """Each lane answers, a scheduler runs, a market is published: exit code 0."""
    found = findings(command, fleet.url, 0)

    assert bad(found) == set()
    for lane in ("critical", "normal", "batch"):
        assert found[f"workers of {lane}"]["state"] == "ok"
        assert found[f"answer from {lane}"]["state"] == "ok"
    for what in ("server", "server version", "eviction policy", "scheduler", "market"):
        assert found[what]["state"] == "ok"
    assert found["stranded messages"]["found"] == "none"


def test_each_finding_is_one_line(call, fleet):
    """A finding that is not ok is followed by its remedy."""
    done = call("doctor", "--broker-url", fleet.url)

    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert any(line.startswith("ok    server: ") for line in lines)
    place = next(n for n, line in enumerate(lines) if line.startswith("warn  limits: "))
    assert lines[place + 1].strip() == "risk-tasks limits publish LIMITS"


LIMITS = LimitSet(
    "desks",
    [
        Limit("gross_exposure", hard=1e12, applies_to={"desk": "rates"}, id="rates"),
        Limit("gross_exposure", hard=1e12, applies_to={"desk": "Rates"}, id="typo"),
    ],
)


def test_limits_that_apply_to_no_check_are_shown(market, call):
    """By `doctor`, `limits show` and `status`, after checks of several doors; not of `doctor`."""
    with running_fleet(FleetPlan(n_workers=1, scheduler=True)) as fleet:
        at = ("--json", "--broker-url", fleet.url)
        with RiskClient(fleet.url, timeout_s=30) as risk:
            risk.publish_market(market)
            risk.publish_limits(LIMITS)
            risk.check(Portfolio("first", {"AAPL": 1.0}), limits=LimitSet("inline", []))
            before = findings(call, fleet.url, 0)["limits applied"]
            books = [Portfolio(f"p{n}", {"AAPL": 1.0}, tags={"desk": "rates"}) for n in range(3)]
            reports = risk.check_many([*books, Portfolio("no-tags", {}), Portfolio("x", {"NO": 1})])

        def shown():
            document = only_json(call("limits", "show", *at))
            return document if document["checks"] == 4 else None

        document = wait_until(shown, 10, "the worker writes within a second")
        status = only_json(call("status", *at))
        after = findings(call, fleet.url, 0)["limits applied"]

    assert [report.decision for report in reports] == [*(["accept"] * 3), "none", "reject"]
    assert (before["state"], before["found"]) == ("ok", "0 checks since publication")
    assert document["matched"] == {"rates": 3, "typo": 0}
    assert status["limit_sets"] == {
        "default": {"version": LIMITS.version, "checks": 4, "unmatched": ["typo"]}
    }
    assert after["state"] == "warn"
    assert after["found"] == "4 checks since publication, none of them for: typo"


def test_an_unreachable_server_is_the_only_finding():
    """Exit code 1; the password is masked."""
    found = findings(command, "redis://user:geheim@127.0.0.1:1/0", 1)

    assert set(found) == {"server"}
    assert "geheim" not in json.dumps(found)


def test_a_server_without_workers_is_bad(call, server):
    """Each lane without workers is reported, and no check is sent to it."""
    found = findings(call, server.url, 1)

    assert bad(found) == {f"workers of {lane}" for lane in ("critical", "normal", "batch")}
    assert found["scheduler"]["state"] == "warn"
    assert found["market"]["state"] == found["limits"]["state"] == "warn"
    assert server.client.llen("risk.normal") == 0


@contextmanager
def evicting(server: Server) -> Iterator[None]:
    server.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        yield
    finally:
        server.client.config_set("maxmemory-policy", "noeviction")


def test_a_server_that_may_evict_checks_is_bad(call, bare):
    """Missing markets are not: workers answer with an error report."""
    with evicting(bare):
        found = findings(call, bare.url, 1)

    assert bad(found) == {"eviction policy"}
    assert "allkeys-lru" in found["eviction policy"]["found"]
    assert "noeviction" in found["eviction policy"]["remedy"]
    assert found["answer from normal"]["state"] == "ok"


def test_a_user_without_info_permission_gets_the_other_findings(call, bare):
    """And the remedy."""
    bare.client.execute_command(
        *("ACL", "SETUSER", "doctor", "on", ">word", "~*", "&*", "+@all", "-info")
    )
    try:
        found = findings(call, bare.url.replace("//", "//doctor:word@"), 0)
    finally:
        bare.client.execute_command("ACL", "DELUSER", "doctor")

    assert found["server settings"]["state"] == "warn"
    assert "+info" in found["server settings"]["remedy"]
    assert found["answer from normal"]["state"] == "ok"


def test_stranded_messages_are_found(call, bare):
    """Celery sends them without a queue, or with a priority."""
    app = Celery(broker=bare.url, set_as_current=False)
    with app:
        for options in ({}, {}, {"queue": "risk.normal", "priority": 6}):
            app.send_task("risk.check", kwargs={}, ignore_result=True, **options)
        app.pool.force_close_all()
    stranded = ["celery", "risk.normal\x06\x166"]
    try:
        assert [bare.client.llen(key) for key in stranded] == [2, 1]

        found = findings(call, bare.url, 1)
    finally:
        bare.client.delete(*stranded)

    assert bad(found) == {"stranded messages"}
    text = found["stranded messages"]["found"]
    assert "2 in celery" in text
    assert "1 in risk.normal:priority-6" in text
    assert findings(call, bare.url, 0)["stranded messages"]["state"] == "ok"
