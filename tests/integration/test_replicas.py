"""What is acknowledged is on the required replicas, and calls follow the primary."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from risk_tasks import RiskClient, read_market, sample
from risk_tasks.broker.blocks import BlockBroker, StampRequest
from risk_tasks.broker.dead_letters import DeadLetters
from risk_tasks.connection import connect
from risk_tasks.errors import InvalidSettingsError, NotReplicatedError
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.queues import Lane
from risk_tasks.store.idempotency import IdempotencyStore
from risk_tasks.store.portfolios import CallId, PortfolioStore
from risk_tasks.store.published import LimitStore, MarketStore
from risk_tasks.store.quotas import QuotaStore
from tests.integration.replica_set import ReplicaSet, replica_set, split
from tests.integration.support import wait_until

pytestmark = pytest.mark.integration

_MARKET = read_market(sample.PRICES)
_BOOK = Portfolio("book", {"AAPL": 10.0})
_LIMITS = LimitSet("desk", [Limit("gross_leverage", hard=2.0)])


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    """A primary with two replicas, without Sentinels."""
    folder = tmp_path_factory.mktemp("set")
    with replica_set(folder, min_replicas=0, with_sentinels=False) as running:
        yield running


@pytest.fixture
def stopped(replicas: ReplicaSet) -> Iterator[ReplicaSet]:
    """Both replicas are stopped: they confirm nothing."""
    for member in replicas.members[1:]:
        member.signal(signal.SIGSTOP)
    yield replicas
    for member in replicas.members[1:]:
        member.signal(signal.SIGCONT)
    replicas.await_whole()


def _enqueue(client: redis.Redis, payload: bytes) -> object:
    return BlockBroker(client).enqueue(
        f"block-{len(payload)}",
        payload,
        client_id="",
        lane=Lane.BATCH,
        n_checks=1,
        timeout_s=60,
        stamp=StampRequest("", ""),
    )


def _replay(client: redis.Redis) -> None:
    letters = DeadLetters(client)
    letter = letters.add_portfolio("dead", 1, attempts=3, lane="batch")
    letters.replay(letter, timeout_s=1)


def _keep(client: redis.Redis) -> bool:
    store = IdempotencyStore(client)
    store.claim("key", "request", "owner")
    return store.keep("key", "owner", b"{}", b"body")


def _publish_prices(client: redis.Redis) -> str:
    prices = dict(zip(_MARKET.instruments, _MARKET.prices.tolist(), strict=True))
    return MarketStore(client).publish_prices(prices, "default", _MARKET.as_of)


#: each call that acknowledges a write
CALLS: dict[str, Callable[[redis.Redis], object]] = {
    "enqueue": lambda client: _enqueue(client, b"small"),
    "enqueue_large": lambda client: _enqueue(client, bytes(100_000)),
    "publish_market": lambda client: MarketStore(client).publish(_MARKET, "default"),
    "publish_limits": lambda client: LimitStore(client).publish(_LIMITS, "default"),
    "set": lambda client: PortfolioStore(client).set(_BOOK, CallId.new()),
    "change": lambda client: PortfolioStore(client).change("book", {"AAPL": 1.0}, "once"),
    "critical_event": lambda client: PortfolioStore(client).critical_event("reason", ["book"]),
    "remove": lambda client: PortfolioStore(client).remove("book", "gone"),
    "set_quota": lambda client: QuotaStore(client).set("desk", 10),
    "remove_quota": lambda client: QuotaStore(client).remove("desk"),
    "keep": _keep,
    "replay": _replay,
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_waits_for_the_required_replicas(name: str, stopped: ReplicaSet) -> None:
    """Without their confirmation it raises; a call of a client that requires none returns."""
    with stopped.connect() as client:
        for needed in ("publish_market", "set"):
            CALLS[needed](client)
        CALLS[name](client)
    with stopped.connect(replicas_required=1) as client, pytest.raises(NotReplicatedError) as error:
        CALLS[name](client)
    assert (error.value.confirmed, error.value.required) == (0, 1)


def test_a_repeat_that_writes_nothing_waits_too(stopped: ReplicaSet) -> None:
    """Its new connection has written nothing: WAIT alone would count all replicas."""
    with stopped.connect() as client:
        CALLS["set"](client)
        version = CALLS["change"](client)
    with stopped.connect(replicas_required=2) as client:
        with pytest.raises(NotReplicatedError):
            CALLS["change"](client)
        for member in stopped.members[1:]:
            member.signal(signal.SIGCONT)
        assert CALLS["change"](client) == version


def test_all_replicas_have_what_a_call_acknowledged(replicas: ReplicaSet) -> None:
    with RiskClient(replicas.url, replicas_required=2) as risk:
        version = risk.publish_limits(_LIMITS, "desk")
        check_id = risk.submit([_BOOK]).check_id
    for member in replicas.members[1:]:
        assert member.redis.hget("risk:limit_sets", "desk") == version
        assert member.redis.exists(f"risk:block:{check_id}") or member.redis.zcard("risk:ledger")


def test_more_replicas_than_there_are_is_an_error(replicas: ReplicaSet) -> None:
    with (
        RiskClient(replicas.url, replicas_required=3) as risk,
        pytest.raises(NotReplicatedError, match="2 of 3 replicas"),
    ):
        risk.publish_limits(_LIMITS)
    with pytest.raises(InvalidSettingsError, match="replicas"):
        RiskClient(replicas.url, replicas_required=-1)


def test_a_block_that_a_worker_started_on_another_server_is_requeued(tmp_path: Path) -> None:
    """Its answer may be lost with the old server, although its worker lives."""
    with replica_set(tmp_path / "set", min_replicas=0, with_sentinels=False) as running:
        second = running.members[1]
        client = running.connect(replicas_required=2)
        broker = BlockBroker(client)
        broker.reap()
        _enqueue(client, b"small")
        client.rpop("risk.batch")
        client.set("risk:role:worker", "1")
        broker.start("block-5", worker="worker")
        assert broker.reap().requeued == 0
        wait_until(lambda: second.redis.exists("risk:held:worker"), 5, "a started block")

        second.redis.execute_command("REPLICAOF", "NO", "ONE")
        moved = BlockBroker(connect(f"redis://127.0.0.1:{second.port}/0"))

        assert moved.reap().requeued == 1
        assert moved.reap().requeued == 0
        assert second.redis.llen("risk.batch") == 1


def test_calls_follow_the_primary_within_their_timeout(tmp_path: Path) -> None:
    """One call, sent to a primary that just died, returns; the change is made once."""
    with (
        replica_set(tmp_path / "set") as running,
        RiskClient(running.url, timeout_s=25, replicas_required=1) as risk,
    ):
        risk.set_portfolio(_BOOK)
        old = running.primary()
        old.kill()

        version = risk.change_positions("book", {"AAPL": 1.0})
        limits = risk.publish_limits(_LIMITS)

        assert version == 2
        assert risk.get_portfolio("book").positions == {"AAPL": 11.0}
        assert running.primary() is not old
        assert running.primary().redis.hget("risk:limit_sets", "default") == limits


def test_a_client_leaves_a_primary_that_only_it_still_reaches(tmp_path: Path) -> None:
    """A client of the old primary gets the limit set that was published on the new one."""
    with replica_set(tmp_path / "set", partitioned=True) as running:
        old = running.primary()
        with (
            RiskClient(running.url, timeout_s=25, replicas_required=1) as publisher,
            RiskClient(running.url, timeout_s=25) as reader,
        ):
            publisher.publish_market(_MARKET)
            assert reader.load_market().id == _MARKET.id
            with split(old):
                # The old primary may take this one too before it misses its replicas.
                publisher.publish_limits(_LIMITS)

                market_id = publisher.publish_prices(
                    dict.fromkeys(_MARKET.instruments, 1.5), as_of=_MARKET.as_of
                )

                assert old.redis.hget("risk:markets", "default") != market_id
                wait_until(lambda: reader.load_market().id == market_id, 2, "the new market")
