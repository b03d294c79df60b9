"""Canvases between our tasks and those of another app: two real apps, two real workers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, group

import risk_tasks
from risk_tasks import Portfolio, RiskClient
from risk_tasks.embedding import FleetPlan, running_fleet
from risk_tasks.errors import CallbackQueueError, RefusedMessageError
from risk_tasks.model.market import MarketSnapshot
from tests.integration.support import environment, unique, wait_until

pytestmark = pytest.mark.integration

TIMEOUT_S = 30
N = 100


@pytest.fixture(scope="module")
def other(market: MarketSnapshot, tmp_path_factory) -> Iterator[Any]:
    """The module of the other app; its worker and one of this package run."""
    log = tmp_path_factory.mktemp("other") / "other.log"
    with running_fleet(FleetPlan(n_workers=1)) as fleet, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROKER", fleet.url)
        sys.modules.pop("tests.integration.callbacks_app", None)
        from tests.integration import callbacks_app

        with RiskClient(fleet.url) as risk:
            risk.publish_market(market)
        name = "tests.integration.callbacks_app"
        arguments = ["-A", name, "worker", "-P", "threads", "-c", "1", "-l", "INFO"]
        with log.open("wb") as out:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", *arguments, "-Q", "celery,elsewhere"],
                env=environment(BROKER=fleet.url, PYTHONPATH=str(Path.cwd())),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        try:
            wait_until(lambda: "ready." in log.read_text(), 30, "the other worker")
            yield callbacks_app
        finally:
            worker.terminate()
            worker.wait(20)
            app = callbacks_app.app
            app.backend.result_consumer.stop()
            app.backend.client.connection_pool.disconnect()
            app.close()


def check(other: Any, name: str = "fund", **options: Any) -> Any:
    portfolio = Portfolio(name, {"AAPL": 10.0}, nav=1e6)
    return risk_tasks.signature(portfolio, measures=["gross_leverage"], app=other.app, **options)


def result(canvas: Any) -> Any:
    return canvas.apply_async().get(timeout=TIMEOUT_S)


def read(other: Any, key: str) -> list[str]:
    return [one.decode() for one in other.app.backend.client.lrange(key, 0, -1)]


@pytest.mark.parametrize("queue", [None, "celery"])
def test_a_chain_into_another_app_runs(other, queue):
    """With and without a queue named there."""
    last = other.decide.s().set(queue=queue) if queue else other.decide.s()

    assert result(chain(check(other), last)) == "decided:fund:ok"
    assert result(chain(other.build.s(1), check_of_argument(other), last)) == "decided:built-1:ok"


def check_of_argument(other: Any) -> Any:
    """A check of the portfolio that the task before it returns, from plain Celery."""
    return other.app.signature("risk.check", queue="risk.normal")


def test_chains_and_chords_run_a_hundred_times_of_a_hundred(other):
    chains = [chain(check(other, f"c-{n}"), other.decide.s()).apply_async() for n in range(N)]
    assert [one.get(timeout=60) for one in chains] == [f"decided:c-{n}:ok" for n in range(N)]

    chords = [
        chord([check(other, f"a-{n}"), check(other, f"b-{n}")], other.count.s()).apply_async()
        for n in range(N)
    ]
    assert [one.get(timeout=60) for one in chords] == ["counted:2:ok"] * N


def test_groups_links_and_chords_of_every_kind_run(other):
    link, error_link = unique("link"), unique("error")

    reports = result(group(check(other, f"g-{n}") for n in range(20)))
    assert [one["status"] for one in reports] == ["ok"] * 20
    check(other).apply_async(link=other.note.s(link), link_error=other.note_error.s(error_link))
    wait_until(lambda: read(other, link), TIMEOUT_S, "the link")
    assert "'status': 'ok'" in read(other, link)[0]
    assert read(other, error_link) == []
    body = chain(other.build.s(1), check_of_argument(other))
    assert result(chord([body, body], other.count.s())) == "counted:2:ok"
    many = chain(check(other), group(other.decide.s(), other.decide.s()))
    assert result(many) == ["decided:fund:ok"] * 2


@pytest.mark.parametrize("queue", ["elsewhere", "risk.critical", "risk.normal"])
def test_a_callback_to_another_queue_is_an_error_that_names_it(other, queue):
    """Answered before computing; the other worker serves that queue and gets nothing."""
    note = other.note.s(unique("note")).set(queue=queue)
    plain = other.app.signature(
        "risk.check",
        kwargs={"portfolio": {"id": "x", "positions": {"AAPL": 1}}},
        queue="risk.normal",
    )
    for canvas in (chain(plain, note), chord([plain, plain], note)):
        with pytest.raises(Exception, match=queue):
            canvas.apply_async().get(timeout=TIMEOUT_S)
    with pytest.raises(CallbackQueueError, match=queue):
        plain.clone().apply_async(link=note).get(timeout=TIMEOUT_S)
    with pytest.raises(CallbackQueueError, match=queue):
        plain.clone().apply_async(link_error=note).get(timeout=TIMEOUT_S)

    assert read(other, note.args[0]) == []


def test_an_allowed_error_callback_gets_the_error_of_the_refused_one(other):
    key = unique("error")
    canvas = check_of_argument(other)
    note = other.note.s("never").set(queue="elsewhere")

    refused = canvas.apply_async(link=note, link_error=other.note_error.s(key))

    wait_until(lambda: read(other, key), TIMEOUT_S, "the error")
    assert read(other, key) == [refused.id]


def test_our_signature_refuses_a_lane_at_once(other, monkeypatch):
    """Before anything is sent; other queues too, if the process has the setting."""
    lane = other.decide.s().set(queue="risk.batch")
    canvases = [
        lambda last: chain(check(other), last).apply_async(),
        lambda last: check(other).apply_async(link=last),
        lambda last: check(other).apply_async(link_error=[last]),
        lambda last: chord([check(other), check(other)], last).apply_async(),
        lambda last: group(check(other) | last, check(other)).apply_async(),
    ]
    for apply in canvases:
        with pytest.raises(CallbackQueueError, match=r"risk\.batch"):
            apply(lane)
    monkeypatch.setenv("RISK_TASKS_CALLBACK_QUEUES", "celery")
    for apply in canvases:
        with pytest.raises(CallbackQueueError, match="elsewhere"):
            apply(other.decide.s().set(queue="elsewhere"))


@pytest.mark.parametrize(
    "options",
    [{"serializer": "pickle"}, {"compression": "zlib"}, {"task": "risk.unknown"}],
    ids=["pickle", "compressed", "unknown task"],
)
def test_a_refused_message_answers_its_caller(other, options):
    """With an error instead of silence."""
    task = options.pop("task", "risk.check")

    waiting = other.app.send_task(task, kwargs={}, queue="risk.normal", **options)

    with pytest.raises(RefusedMessageError, match="Refused"):
        waiting.get(timeout=TIMEOUT_S)


def test_a_forged_id_overwrites_no_result(other):
    """Only a result that does not stand yet is answered."""
    waiting = check(other).apply_async()
    assert waiting.get(timeout=TIMEOUT_S)["status"] == "ok"

    other.app.send_task("risk.unknown", queue="risk.normal", task_id=waiting.id)
    later = other.app.send_task("risk.unknown", queue="risk.normal")
    with pytest.raises(RefusedMessageError):
        later.get(timeout=TIMEOUT_S)

    again = other.app.AsyncResult(waiting.id)
    assert again.state == "SUCCESS"
    assert again.get()["status"] == "ok"
