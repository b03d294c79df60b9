"""A worker never loses a slot: it serves after each error outside the body of a task."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.result import AsyncResult

from risk_tasks.embedding.fleet import RoleProcess
from risk_tasks.errors import RiskTasksError
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.roles.watchdog import STALLED
from tests.faults.system import FaultyServer, System, pause, running_system
from tests.integration.support import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

#: raises at the first calls of one function in a worker, given as MODULE:CLASS.METHOD
PROGRAM = """
import importlib, os, sys, time

def spoil(path, kind, n_calls):
    module, _, names = path.partition(":")
    owner = importlib.import_module(module)
    *parents, name = names.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real, left = getattr(owner, name), [n_calls]

    def spoilt(*args, **options):
        if left[0] > 0 and (TASK is None or TASK(args)):
            left[0] -= 1
            if kind == "hang":
                time.sleep(3_600)
            raise {"RuntimeError": RuntimeError, "SystemExit": SystemExit, "OSError": OSError,
                   "KeyError": KeyError, "MemoryError": MemoryError}[kind]("injected")
        return real(*args, **options)
    setattr(owner, name, spoilt)

TASK = None
spoil(*FAULT)
from risk_tasks.__main__ import main
sys.argv = ["risk-tasks", "worker"]
main()
"""


def program(path: str, kind: str, n_calls: int = 1, task: str = "None") -> str:
    fault = f"FAULT = {(path, kind, n_calls)!r}\n"
    return fault + PROGRAM.replace("TASK = None", f"TASK = {task}")


@contextmanager
def serving(
    folder: Path, market: MarketSnapshot, program: str = "", **environment: str
) -> Iterator[System]:
    """A server and one worker with one slot."""
    with running_system(
        folder, n_workers=1, scheduler=False, program=program, environment=environment
    ) as system:
        system.risk.publish_market(market)
        yield system


@contextmanager
def caller(system: System, backend: str | None = None) -> Iterator[Celery]:
    app = Celery(broker=system.server.url, backend=backend or system.server.url)
    yield app
    app.close()


def send(app: Celery, **options: Any) -> AsyncResult:
    return app.send_task(
        "risk.check",
        kwargs={
            "portfolio": {"id": "x", "positions": {"AAPL": 1}, "nav": 1e6},
            "measures": ["gross_leverage"],
        },
        queue="risk.normal",
        **options,
    )


def serves(system: System, portfolios: list[Portfolio], within_s: float = 8) -> None:
    """Assert that the only slot serves two critical checks."""

    def is_served() -> bool:
        try:
            return all(
                system.risk.check(
                    one, priority="critical", measures=["gross_leverage"], timeout_s=2
                )
                for one in portfolios[:2]
            )
        except RiskTasksError:
            return False

    wait_until(is_served, within_s, "service of the slot")
    assert system.worker.is_alive
    assert system.worker.n_restarts == 0


def raw(embed: object = None, **headers: Any) -> bytes:
    """A check as any process can push it."""
    task_id = uuid.uuid4().hex
    body = [[], {"portfolio": {"id": "x", "positions": {"AAPL": 1}}}, embed or {}]
    properties = {
        "correlation_id": task_id,
        "reply_to": task_id,
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "risk.normal"},
        "priority": 0,
        "body_encoding": "utf-8",
        "delivery_tag": task_id,
    }
    message = {
        "body": json.dumps(body),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "risk.check", "id": task_id, **headers},
        "properties": properties,
    }
    return json.dumps(message).encode()


def test_no_message_stops_a_slot(
    market: MarketSnapshot, portfolios: list[Portfolio], tmp_path: Path
) -> None:
    """Embeds that Celery cannot read, in the body and in the headers, and a far moment."""
    poison = {
        "chain": raw({"chain": ["a"]}),
        "callbacks": raw({"callbacks": [1]}),
        "chord": raw({"chord": {"task": "x"}}),
        "chain in the headers": raw(chain=["a"]),
        "callbacks in the headers": raw(callbacks=[1]),
        "chord in the headers": raw(chord={"task": "x"}),
        "a forged count": raw(redeliveries=-9),
        "a far moment": raw(eta="2999-01-01T00:00:00+00:00"),
        "a moment out of range": raw(eta="9999-12-31T23:59:59+00:00"),
        "an id with control characters": raw(id="a\nb\x1b[2J"),
        "a time limit": raw(timelimit=[1e300, 1e300]),
        "an unknown group": raw(group="no-such-group", group_index=0),
    }
    with serving(tmp_path, market) as system:
        for name, message in poison.items():
            system.redis.lpush("risk.normal", message)
            wait_until(lambda: system.redis.llen("risk.normal") == 0, 5, name)
            serves(system, portfolios)


def test_an_absent_result_backend_costs_no_slot(
    market: MarketSnapshot, portfolios: list[Portfolio], tmp_path: Path
) -> None:
    """Checks of clients are answered meanwhile; the result is stored when the backend is there."""
    folder = tmp_path / "results"
    folder.mkdir()
    results = FaultyServer(folder)
    results.kill()
    with (
        serving(tmp_path, market, RISK_TASKS_RESULT_URL=results.url) as system,
        caller(system, results.url) as app,
    ):
        task_id = send(caller_without_results(system)).id
        expired_id = send(caller_without_results(system), expires=-1).id
        for _ in range(5):
            serves(system, portfolios)
        results.restart()

        assert AsyncResult(task_id, app=app).get(timeout=40)["status"] == "ok"
        wait_until(lambda: AsyncResult(expired_id, app=app).state == "REVOKED", 40, "an end")
        assert '"task.not_ended"' in system.worker.log_path.read_text()
        wait_until(lambda: not system.redis.exists("unacked"), 10, "an acknowledgement")
    results.stop()


def caller_without_results(system: System) -> Celery:
    return Celery(broker=system.server.url, set_as_current=False)


def test_a_full_server_costs_no_slot(
    market: MarketSnapshot, portfolios: list[Portfolio], tmp_path: Path
) -> None:
    """The memory is full when the result is stored; with room again it is answered."""
    with serving(tmp_path, market) as system, caller(system) as app:
        pause(system.worker)
        waiting = send(app)
        system.redis.config_set("maxmemory", 1_000_000)
        os.kill(system.worker.pid, signal.SIGCONT)
        time.sleep(8)
        system.redis.config_set("maxmemory", 0)

        serves(system, portfolios)
        assert waiting.get(timeout=70)["status"] == "ok"


CALLS = [
    "risk_tasks.broker.results:Results.store_result",
    "risk_tasks.broker.results:Results._set",
    "risk_tasks.broker.redaction:SummarisedReport.__json__",
    "risk_tasks.broker.redaction:SummarisedReport.__repr__",
    "risk_tasks.broker.serving:ServedRequest.acknowledge",
    "risk_tasks.broker.serving:ServedRequest.on_accepted",
    "risk_tasks.broker.serving:CallbackTask.before_start",
    "risk_tasks.broker.transport:LedgerQoS._track",
    "risk_tasks.broker.transport:LedgerQoS.ack",
    "risk_tasks.broker.transport:LedgerQoS._remove_from_indices",
    "celery.backends.base:Backend.process_cleanup",
    "celery.backends.redis:RedisBackend.encode",
    "celery.worker.request:Request.revoked",
    "celery.worker.request:Request.__init__",
    "celery.concurrency.base:apply_target",
    "celery.app.trace:loads_message",
    "celery.worker.state:task_reserved",
]
KINDS = ["RuntimeError", "SystemExit", "OSError", "KeyError", "MemoryError"]


#: those that every run tries
FEW_CALLS = 4


@pytest.mark.parametrize(
    "call",
    [
        *CALLS[:FEW_CALLS],
        *(pytest.param(c, marks=pytest.mark.full_size) for c in CALLS[FEW_CALLS:]),
    ],
)
def test_an_error_at_a_call_outside_the_body_costs_no_slot(
    call: str, market: MarketSnapshot, portfolios: list[Portfolio], tmp_path: Path, sized: Callable
) -> None:
    """Each kind of error, once; the next messages are served by the same process."""
    for number, kind in enumerate(sized(KINDS[:1], KINDS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with (
            serving(folder, market, program(call, kind, task="lambda args: True")) as system,
            caller(system) as app,
        ):
            first, second = send(app), send(app)
            serves(system, portfolios)
            assert second.get(timeout=70)["status"] == "ok"
            wait_until(lambda one=first: one.ready() or system.redis.exists("unacked"), 5, "an end")
            del first, second


@pytest.mark.parametrize(
    "call",
    [
        "risk_tasks.service.documents:DocumentService.check",
        "risk_tasks.broker.transport:LedgerQoS.append",
    ],
    ids=["slot", "loop"],
)
def test_a_worker_that_cannot_serve_ends(call: str, market: MarketSnapshot, tmp_path: Path) -> None:
    """After the stated time, with a code other than 0: a supervisor starts another one."""
    with (
        serving(tmp_path, market, program(call, "hang"), RISK_TASKS_STALL_TIMEOUT_S="4") as system,
        caller(system) as app,
    ):
        started = time.monotonic()
        send(app)
        wait_until(lambda: not system.worker.is_alive, 30, "the end")

        assert 3 <= time.monotonic() - started <= 12
        assert system.worker.wait() == STALLED
        assert '"worker.stalled"' in system.worker.log_path.read_text()


def test_a_fault_of_the_server_ends_no_stalled_worker(
    market: MarketSnapshot, portfolios: list[Portfolio], tmp_path: Path
) -> None:
    """The server answers no client for longer than the stall timeout."""
    with serving(tmp_path, market, RISK_TASKS_STALL_TIMEOUT_S="4") as system:
        system.redis.execute_command("CLIENT", "PAUSE", "9000", "ALL")
        time.sleep(9)

        serves(system, portfolios)


def test_a_worker_an_hour_ahead_runs_the_sweeps(
    market: MarketSnapshot, portfolios: list[Portfolio], tmp_path: Path
) -> None:
    """An expiry is compared with the clock of the server."""
    ahead = """
import celery.worker.request as request, datetime as d, sys
class Ahead(d.datetime):
    @classmethod
    def now(cls, tz=None):
        return d.datetime.now(tz) + d.timedelta(hours=1)
request.datetime = Ahead
from risk_tasks.__main__ import main
sys.argv = ["risk-tasks", "worker"]
main()
"""
    with running_system(tmp_path, n_workers=1, program=ahead) as system:
        system.risk.publish_market(market)
        sent = system.roles["scheduler"].log_path
        wait_until(lambda: "Sending due task risk.sweep" in sent.read_text(), 20, "a sweep")
        serves(system, portfolios)

        assert "Discarding" not in system.worker.log_path.read_text()
        with caller(system) as app:
            assert send(app, expires=30).get(timeout=20)["status"] == "ok"


def test_a_scheduler_an_hour_ahead_continues_its_sweeps(
    market: MarketSnapshot, tmp_path: Path
) -> None:
    """Also after its clock is right again: the last run is not in the future."""
    ahead = """
import celery.app.base as base, datetime as d, os, sys, time
started = time.monotonic()
class Wrong(d.datetime):
    @classmethod
    def now(cls, tz=None):
        wrong = 0 if time.monotonic() - started > 14 else 1
        return d.datetime.now(tz) + d.timedelta(hours=wrong)
base.datetime = Wrong
from risk_tasks.__main__ import main
sys.argv = ["risk-tasks", "scheduler"]
main()
"""
    with running_system(tmp_path, n_workers=1, scheduler=False) as system:
        log = tmp_path / "scheduler.log"
        environment = {"RISK_TASKS_BROKER_URL": system.server.url}
        scheduler = RoleProcess("scheduler", ["-c", ahead], environment, log)
        scheduler.start()
        try:
            wait_until(lambda: sweeps(log) >= 3, 34, "three sweeps")
        finally:
            scheduler.terminate()
            scheduler.wait()
        last = json.loads(system.redis.hget("redbeat:risk.sweep", "meta"))
        future = {"year": time.gmtime().tm_year + 1}
        last["last_run_at"] |= future
        system.redis.hset("redbeat:risk.sweep", "meta", json.dumps(last))
        system.redis.zadd("redbeat::schedule", {"redbeat:risk.sweep": time.time() + 3e7})
        before = sweeps(log)
        scheduler = RoleProcess("scheduler", ["-m", "risk_tasks", "scheduler"], environment, log)
        scheduler.start()
        try:
            wait_until(lambda: sweeps(log) > before, 20, "a sweep")
        finally:
            scheduler.terminate()
            assert scheduler.wait() == 0


def sweeps(log: Path) -> int:
    return log.read_text().count("Sending due task risk.sweep")
