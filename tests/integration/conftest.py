"""Real servers and workers for the integration tests: a few that all tests share.

Each process is ended by its process id. Every test uses its own names and ids, so that one server
serves many tests in any order. A test that changes shared state (a default limit set, settings of
the server) uses `bare`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis

from risk_tasks import RiskClient, sample
from risk_tasks.broker.blocks import BlockBroker
from risk_tasks.connection import connect
from risk_tasks.embedding import Fleet, FleetPlan, running_fleet
from risk_tasks.embedding.fleet import running_server
from risk_tasks.keys import (
    CLIENT_GONE_S,
    CLIENTS_KEY,
    DEFAULT_NAME,
    LIMIT_SETS_KEY,
    MARKETS_KEY,
    RESULT_TTL_S,
    reply_key,
    result_key,
)
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.readers import read_limits, read_market, read_portfolios, read_scenarios
from risk_tasks.service import MarketCache, Service
from tests.integration.support import HandWorker, Sender, Server, environment, is_our_child, unique


@contextmanager
def looked_into(url: str, pid: int) -> Iterator[Server]:
    """A connection to the server at `url`, after a check that it is the child that we started."""
    with redis.Redis.from_url(url) as client:
        assert client.info("server")["process_id"] == pid
        assert is_our_child(pid)
        yield Server(url, pid, client)


@contextmanager
def server_of_our_own() -> Iterator[Server]:
    with (
        TemporaryDirectory(prefix="risk-tasks-test-") as folder,
        running_server(Path(folder)) as (url, pid),
        looked_into(url, pid) as server,
    ):
        yield server


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of this test alone, without workers."""
    with server_of_our_own() as server:
        yield server


@pytest.fixture(scope="session")
def cache_server() -> Iterator[Server]:
    """One server for all tests of the cache; each test has its own prefix."""
    with server_of_our_own() as server:
        yield server


@pytest.fixture
def broker(server: Server) -> Iterator[BlockBroker]:
    """The scripts on this test's own server."""
    with connect(server.url) as client:
        yield BlockBroker(client)


@pytest.fixture
def sender(broker: BlockBroker) -> Sender:
    """A client of this test's own server; no worker reads what it sends."""
    return Sender(broker, unique("client"))


@pytest.fixture
def hand(server: Server) -> Iterator[HandWorker]:
    """Serves the lanes of this test's own server when the test calls it."""
    worker = HandWorker(server)
    yield worker
    worker.close()


@pytest.fixture(scope="session")
def market() -> MarketSnapshot:
    """The sample market."""
    return read_market(sample.PRICES, scenarios=read_scenarios(sample.SCENARIOS))


@pytest.fixture(scope="session")
def limit_set() -> LimitSet:
    """The sample limits."""
    return read_limits(sample.LIMITS)


@pytest.fixture(scope="session")
def book() -> list[Portfolio]:
    """The seven sample portfolios."""
    return read_portfolios(sample.BOOKS)


@pytest.fixture(scope="session")
def fleet(market: MarketSnapshot) -> Iterator[Fleet]:
    """Two workers and a scheduler; `default` is the sample market, and no limits are default."""
    with running_fleet(FleetPlan(n_workers=2, scheduler=True, log_level="info")) as fleet:
        with RiskClient(fleet.url) as risk:
            risk.publish_market(market)
        yield fleet


@pytest.fixture(scope="session")
def fleet_server(fleet: Fleet) -> Iterator[Server]:
    """The server of `fleet`."""
    with looked_into(fleet.url, fleet.server_pid) as server:
        yield server


@pytest.fixture(scope="session")
def abandoned(fleet_server: Server) -> tuple[str, list[str]]:
    """The id of a disconnected client, its reply list and the key of an unread result."""
    client_id, block_id = unique("gone"), unique("block")
    keys = [reply_key(client_id), result_key(block_id)]
    fleet_server.client.rpush(keys[0], block_id)
    fleet_server.client.set(keys[1], b"answer", ex=RESULT_TTL_S)
    seen = fleet_server.now_ms() - 2_000 * CLIENT_GONE_S
    fleet_server.client.zadd(CLIENTS_KEY, {client_id: seen})
    return client_id, keys


@pytest.fixture(scope="session")
def risk(fleet: Fleet, abandoned: object) -> Iterator[RiskClient]:
    """A client of `fleet`; a disconnected client leaves keys to sweep while the tests run."""
    with RiskClient(fleet.url, timeout_s=20) as risk:
        yield risk


@pytest.fixture(scope="session")
def bare_fleet() -> Iterator[Fleet]:
    """One worker on a server of its own."""
    with running_fleet(FleetPlan(n_workers=1)) as fleet:
        yield fleet


@pytest.fixture
def bare(bare_fleet: Fleet) -> Iterator[Server]:
    """A server with one worker; no market is published as `default`."""
    with looked_into(bare_fleet.url, bare_fleet.server_pid) as server:
        for names in (MARKETS_KEY, LIMIT_SETS_KEY):
            server.client.hdel(names, DEFAULT_NAME)
        yield server


@pytest.fixture
def call(capsys, monkeypatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Like `command`, but in this process: ten times faster, for the many tests of errors."""
    from risk_tasks import cli

    for name in set(os.environ) - set(environment()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
        words = ["risk-tasks", *map(str, arguments)]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", words)
            for name, value in settings.items():
                patch.setenv(name, value)
            capsys.readouterr()
            with pytest.raises(SystemExit) as end:
                cli.main()
        printed = capsys.readouterr()
        code = int(end.value.code or 0)
        return subprocess.CompletedProcess(words, code, printed.out, printed.err)

    return run


@pytest.fixture
def clients() -> Iterator[Callable[..., RiskClient]]:
    """Makes clients that are closed at the end of the test."""
    with ExitStack() as stack:
        yield lambda url, **options: stack.enter_context(RiskClient(url, **options))


@pytest.fixture
def service(market: MarketSnapshot) -> Service:
    """The pipeline in this process, with the sample market and without limit sets."""

    def no_limits(version: str) -> LimitSet:
        raise AssertionError(f"{version} was requested")

    return Service(MarketCache({market.id: market}.get), no_limits)
