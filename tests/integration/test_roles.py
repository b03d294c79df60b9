"""Role processes: start, readiness, and stops that lose nothing."""

from __future__ import annotations

import os
import re
import signal

import pytest
import redis

import risk_tasks
from risk_tasks import Portfolio, embedding
from risk_tasks.app import create_app
from risk_tasks.broker.blocks import StampRequest
from risk_tasks.errors import ReportTimeoutError
from risk_tasks.keys import (
    CLIENTS_KEY,
    LEDGER_KEY,
    ROLE_TTL_S,
    block_key,
    reply_key,
    result_key,
    role_key,
)
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.registry import STANDARD_MEASURES
from risk_tasks.queues import Lane
from risk_tasks.settings import Settings
from risk_tasks.store.roles import RoleStore, RunningRole
from risk_tasks.wire.answer import decode_answer
from risk_tasks.wire.request import Terms, encode_request, pack_portfolios
from tests.integration.support import (
    REPOSITORY,
    Sender,
    Server,
    books,
    ended,
    running,
    unique,
    wait_until,
)

pytestmark = pytest.mark.integration

STARTS_WITHIN_S = 60


def role_of(server: Server, pid: int) -> RunningRole | None:
    """Return the entry of the process in the running roles."""
    return next((role for role in RoleStore(server.client).running() if role.pid == pid), None)


def events(log) -> list[str]:
    """Return the names of the logged events in order."""
    return re.findall(r'"event": "([^"]+)"', log.read_text())


@pytest.fixture
def url_file(server, tmp_path) -> str:
    path = tmp_path / "broker-url"
    path.write_text(f"{server.url}\n")
    return str(path)


def test_a_worker_container_starts_serves_and_stops(
    server, broker, clients, market, tmp_path, url_file
):
    """From the repository root, with its broker URL in a file.

    It serves lanes in order, and does not compute expired checks.
    """
    log = tmp_path / "worker.log"
    risk = clients(server.url, timeout_s=20)
    risk.publish_market(market)
    with pytest.raises(ReportTimeoutError) as caught:
        risk.check_many([Portfolio("late", {"AAPL": 1.0})] * 4, timeout_s=0.05)
    late = caught.value.check_id
    sender = Sender(broker, "ordered")
    in_batch = [sender.send(lane=Lane.BATCH) for _ in range(2)]
    in_normal = [sender.send(lane=Lane.NORMAL) for _ in range(2)]

    settings = {"RISK_TASKS_BROKER_URL_FILE": url_file, "RISK_TASKS_LANES": "normal,batch"}
    with running("-m", "workers", log=log, cwd=REPOSITORY, settings=settings) as worker:
        role = wait_until(lambda: role_of(server, worker.pid), STARTS_WITHIN_S, "a running worker")
        assert (role.role, role.lanes) == ("worker", "normal,batch")
        assert risk.check(Portfolio("p", {"AAPL": 1.0})).status == "ok"
        with pytest.raises(ReportTimeoutError):
            risk.check(Portfolio("p", {}), priority="critical", timeout_s=0.2)

        assert ended(worker, log) == 0

    replies = server.client.lrange(reply_key("ordered"), 0, -1)
    served = [reply.split()[0].decode() for reply in replies]
    assert served == [*in_normal, *in_batch]
    assert server.counter("expired") == 4
    assert late not in str(server.key_names())
    assert role_of(server, worker.pid) is None
    logged = events(log)
    assert logged.count("block.not_started") == 1
    assert (
        logged.index("worker.compiling")
        < logged.index("worker.ready")
        < logged.index("worker.draining")
        < logged.index("worker.stopped")
    )


def test_kernels_are_compiled_before_the_first_block(server, clients, market, limit_set, tmp_path):
    """A check never waits for the compiler."""
    log = tmp_path / "worker.log"
    risk = clients(server.url, timeout_s=60)
    risk.publish_market(market)
    # Numba logs whether it compiles a kernel or loads it from its cache.
    settings = {
        "RISK_TASKS_BROKER_URL": server.url,
        "NUMBA_DEBUG_CACHE": "1",
        "PYTHONUNBUFFERED": "1",
    }

    with running("-m", "workers", log=log, cwd=REPOSITORY, settings=settings) as worker:
        # Sent during the compilation.
        reports = risk.check_many(
            [*books(20, market.instruments), Portfolio("bad", {"NOPE": 1.0})],
            measures=[*STANDARD_MEASURES, "stress_loss:crash-2020", "value_at_risk@0.95"],
            settings=MeasureSettings("0.975", 10, "linear"),
            limits=limit_set,
        )
        assert ended(worker, log) == 0

    assert [report.status for report in reports] == ["ok"] * 20 + ["error"]
    before, after = log.read_text().split('"event": "worker.ready"')
    assert '"event": "worker.compiling"' in before
    assert "[cache] " in before
    assert "[cache] " not in after
    assert '"event": "block.finished"' in after


def await_presence(client: redis.Redis, name: str) -> None:
    """Wait until the lifetime of an entry has decreased and is renewed."""
    later_ms = ROLE_TTL_S * 1_000 - 100
    wait_until(lambda: client.pttl(role_key(name)) < later_ms, 10, "an entry that ages")
    wait_until(lambda: client.pttl(role_key(name)) > later_ms, 10, "a renewal")


def test_a_role_renews_its_entry(fleet, fleet_server):
    """The entry expires some seconds after the death of its role."""
    (name,) = {r.name for r in RoleStore(fleet_server.client).running() if r.role == "scheduler"}
    assert 0 < fleet_server.client.pttl(role_key(name)) <= ROLE_TTL_S * 1_000

    await_presence(fleet_server.client, name)


def test_only_a_consuming_worker_touches_its_heartbeat_file(server, tmp_path):
    """A worker that does not consume still renews its entry: a probe must not rely on that."""
    log, beat = tmp_path / "worker.log", tmp_path / "heartbeat"
    settings = {"RISK_TASKS_BROKER_URL": server.url, "RISK_TASKS_HEARTBEAT_FILE": str(beat)}

    with running("-m", "workers", log=log, cwd=REPOSITORY, settings=settings) as worker:
        name = wait_until(lambda: role_of(server, worker.pid), STARTS_WITHIN_S, "a worker").name
        wait_until(beat.exists, 10, "a heartbeat")
        os.utime(beat, (1, 1))
        wait_until(lambda: beat.stat().st_mtime > 1, 10, "a renewal, with nothing to do")

        with create_app(Settings.read(broker_url=server.url)) as app:
            for lane in Lane:
                app.control.cancel_consumer(lane.queue)
            wait_until(lambda: not fetching(server), 10, "no more fetches")
            os.utime(beat, (1, 1))
            for _ in range(3):
                await_presence(server.client, name)
            assert beat.stat().st_mtime == 1

            app.control.add_consumer("risk.normal")
            wait_until(lambda: beat.stat().st_mtime > 1, 10, "a renewal")
            app.pool.force_close_all()
        assert ended(worker, log) == 0


def fetching(server: Server) -> bool:
    """Whether a worker waits in a blocking pop."""
    return any("b" in each["flags"] for each in server.client.client_list())


def test_answers_to_inspect_pass_the_guard(fleet, fleet_server):
    """They arrive in lists, like checks, and are not malformed checks."""
    n_dead = fleet_server.client.zcard("risk:dead")
    with create_app(Settings.read(broker_url=fleet.url)) as app:
        replies = app.control.ping(timeout=5)
        app.pool.force_close_all()

    assert len(replies) == 2
    assert fleet_server.client.zcard("risk:dead") == n_dead


def test_a_scheduler_container_starts_and_stops(server, tmp_path):
    """From the repository root; its entry disappears."""
    log, beat_file = tmp_path / "beat.log", tmp_path / "heartbeat"
    settings = {
        "RISK_TASKS_BROKER_URL": server.url,
        "RISK_TASKS_HEARTBEAT_FILE": str(beat_file),
    }

    with running("-m", "beat", log=log, cwd=REPOSITORY, settings=settings) as beat:
        role = wait_until(lambda: role_of(server, beat.pid), STARTS_WITHIN_S, "a live scheduler")
        assert (role.role, role.lanes) == ("scheduler", "")
        wait_until(beat_file.exists, 10, "a heartbeat")

        assert ended(beat, log) == 0

    assert role_of(server, beat.pid) is None
    assert [name for name in events(log) if name.startswith("scheduler.")] == [
        "scheduler.ready",
        "scheduler.stopped",
    ]


def test_an_invalid_setting_ends_the_container(tmp_path):
    """With the name of the variable and an exit code other than 0."""
    log = tmp_path / "log"
    settings = {"RISK_TASKS_BROKER_URL_FILE": str(tmp_path / "missing")}

    with running("-m", "workers", log=log, cwd=REPOSITORY, settings=settings) as role:
        assert role.wait(30) == 1

    assert "RISK_TASKS_BROKER_URL_FILE" in log.read_text()


def test_a_worker_can_be_stopped_before_it_is_ready(server, tmp_path):
    """It exits soon, with 0."""
    log = tmp_path / "worker.log"
    settings = {"RISK_TASKS_BROKER_URL": server.url}

    with running("-m", "workers", log=log, cwd=REPOSITORY, settings=settings) as worker:
        wait_until(lambda: "worker.compiling" in log.read_text(), STARTS_WITHIN_S)
        worker.send_signal(signal.SIGTERM)

        assert worker.wait(20) == 0
    assert RoleStore(server.client).running() == []


# --- stopping under load


N_BLOCKS = 30


@pytest.fixture
def queued(server, broker, clients, market) -> dict[str, list[str]]:
    """Thirty blocks of a few dozen milliseconds each; ids of portfolios by block."""
    clients(server.url).publish_market(market)
    terms = Terms(parse_measures(None), MeasureSettings())
    sent = {}
    for number in range(N_BLOCKS):
        portfolios = books(300, market.instruments, seed=number)
        block_id = unique("block")
        broker.enqueue(
            block_id,
            encode_request(pack_portfolios(portfolios, terms)),
            client_id="drain",
            lane=Lane.NORMAL,
            n_checks=len(portfolios),
            timeout_s=120,
            stamp=StampRequest("default", ""),
        )
        sent[block_id] = [portfolio.id for portfolio in portfolios]
    return sent


def answered(server: Server, block_ids) -> list[str]:
    return [block_id for block_id in block_ids if server.client.exists(result_key(block_id))]


def test_a_stopped_worker_loses_nothing(server, queued, tmp_path):
    """It finishes started blocks, and another worker serves the waiting ones."""
    log = tmp_path / "worker.log"
    settings = {"RISK_TASKS_BROKER_URL": server.url, "RISK_TASKS_CONCURRENCY": "2"}

    with running("-m", "workers", log=log, cwd=REPOSITORY, settings=settings) as first:
        wait_until(lambda: len(answered(server, queued)) >= 3, STARTS_WITHIN_S, "first answers")
        assert ended(first, log) == 0

    by_first = answered(server, queued)
    waiting = set(queued) - set(by_first)
    assert waiting, "all was answered before the signal came: let there be more blocks"
    for block_id in waiting:
        assert server.client.hget(block_key(block_id), "worker") is None
    assert server.client.zcard(LEDGER_KEY) == len(waiting)
    in_lane = {message["headers"]["id"] for message in server.messages("risk.normal")}
    assert in_lane == waiting
    assert server.client.hlen("unacked") == 0

    with running("-m", "workers", log=log, cwd=REPOSITORY, settings=settings) as second:
        wait_until(lambda: len(answered(server, queued)) == N_BLOCKS, STARTS_WITHIN_S, "the rest")
        assert ended(second, log) == 0

    for block_id, portfolio_ids in queued.items():
        answer = decode_answer(server.client.get(result_key(block_id)))
        assert len(answer) == len(portfolio_ids)
        assert answer.errors == {}
    assert server.client.llen(reply_key("drain")) == N_BLOCKS
    assert server.lane(Lane.NORMAL) == (0, 0)
    assert server.counter("duplicates") == 0


# --- the scheduler


def test_the_scheduler_runs_the_sweep(fleet_server, abandoned):
    """Within half a minute, by a worker; live clients stay."""
    client_id, keys = abandoned
    living = unique("living")
    fleet_server.client.zadd(CLIENTS_KEY, {living: fleet_server.now_ms()})

    wait_until(lambda: fleet_server.client.exists(*keys) == 0, 30, "a sweep")

    assert fleet_server.client.zscore(CLIENTS_KEY, client_id) is None
    assert fleet_server.client.zscore(CLIENTS_KEY, living) is not None


# --- embedded


def test_embedded_is_a_function_on_repeated_access():
    """Also after an import of its package; tests of `check` run it."""
    assert risk_tasks.embedded is risk_tasks.embedded is embedding.embedded
    assert callable(risk_tasks.embedded)
