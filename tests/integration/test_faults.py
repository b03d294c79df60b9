"""The broker is down, slow or disconnects: typed errors in time, and no answer is lost."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from redis.exceptions import ResponseError

from risk_tasks import Portfolio, RiskClient
from risk_tasks.client.partitioning import BlockBounds
from risk_tasks.errors import ReportTimeoutError, RequestError, TransportError
from risk_tasks.keys import CLIENTS_KEY, result_key
from risk_tasks.model.report import Stamp
from risk_tasks.queues import Lane
from tests.integration.proxy import Proxy
from tests.integration.support import HandWorker, unique, wait_until

pytestmark = pytest.mark.integration

ERROR_WITHIN_S = 2.0
ONE = Portfolio("one", {"AAPL": 1.0})


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A local port without a listener, bound so that no other process listens there."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]


def url_of(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


@contextmanager
def told_in_time(port: int) -> Iterator[None]:
    """Expect a `TransportError` that names the server, within two seconds."""
    started = time.monotonic()
    with pytest.raises(TransportError) as caught:
        yield
    assert time.monotonic() - started < ERROR_WITHIN_S
    assert not isinstance(caught.value, ReportTimeoutError)
    assert f"127.0.0.1:{port}" in caught.value.message
    assert caught.value.retriable


CALLS: dict[str, Callable[[RiskClient, object], object]] = {
    "check": lambda risk, market: risk.check(ONE),
    "publish_market": lambda risk, market: risk.publish_market(market),
    "load_market": lambda risk, market: risk.load_market(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_broker_that_is_down_raises_at_once(clients, market, closed_port, call):
    """Without waiting for the time-out of a report."""
    risk = clients(url_of(closed_port), timeout_s=30)

    with told_in_time(closed_port):
        call(risk, market)


def test_a_broker_that_never_answers_raises_in_time(clients, silent_port):
    """An accepted connection is not an answer."""
    risk = clients(url_of(silent_port), timeout_s=30)

    with told_in_time(silent_port):
        risk.check(ONE)


def test_no_message_contains_the_password_of_the_url(clients, closed_port):
    risk = clients(f"redis://user:geheim@127.0.0.1:{closed_port}/0")

    with pytest.raises(TransportError) as caught:
        risk.check(ONE)

    assert "geheim" not in f"{caught.value} {risk!r}"


def test_an_invalid_url_raises(clients):
    with pytest.raises(TransportError, match="redis://"):
        clients("broker:6379").check(ONE)


@contextmanager
def halted(pid: int) -> Iterator[None]:
    """Stop a process that we started, and continue it at the end."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_stopped_server_raises_in_time_and_serves_again(bare, clients, market):
    """Over open and new connections, with right answers once the server continues."""
    risk, other = clients(bare.url, timeout_s=20), clients(bare.url, timeout_s=20)
    risk.publish_market(market)
    price = risk.check(ONE).measures["market_value"].value
    port = bare.port

    with halted(bare.pid):
        for client in (risk, other):
            with told_in_time(port):
                client.check(ONE)

    for client in (risk, other):
        assert client.check(ONE).measures["market_value"].value == price
    wait_until(lambda: bare.lane(Lane.NORMAL) == (0, 0), 10, "room given back")


def test_a_server_that_dies_during_a_wait_raises_in_time(server, clients):
    """The time-out of the call limits the wait."""
    risk = clients(server.url, timeout_s=1.0)
    started = time.monotonic()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(risk.check, ONE)
        wait_until(lambda: server.client.llen("risk.normal"), 3)
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(TransportError):
            waiting.result(timeout=5)

    assert time.monotonic() - started < 2.5


def test_a_server_error_is_not_a_transport_error(server, clients):
    """When the server is out of memory, every call raises a typed error."""
    server.client.config_set("maxmemory", "1")
    risk = clients(server.url)

    with pytest.raises(TransportError, match="memory") as caught:
        risk.check(ONE)

    assert isinstance(caught.value.__cause__, ResponseError)


# --- late answers


def test_a_lane_without_a_worker_times_out(server, clients):
    """After the time-out of the call, or that of the client."""
    risk = clients(server.url, timeout_s=0.4)

    for given, seconds in ((None, 0.4), (0.15, 0.15)):
        started = time.monotonic()
        with pytest.raises(ReportTimeoutError) as caught:
            risk.check(ONE, timeout_s=given)
        assert seconds <= time.monotonic() - started < seconds + 1.0
        assert caught.value.check_id.count(".") == 2
        assert risk._connection._replies._waiting == {}


@contextmanager
def served_by_hand(hand: HandWorker, service, market_id: str, blocks: int = 1) -> Iterator[None]:
    """Serve this number of blocks of the normal lane from this process."""

    def serve() -> None:
        for _ in range(blocks):
            block_id = hand.take()
            block = hand.broker.start(block_id, worker="hand")
            hand.broker.finish(block_id, service.run(block.payload, Stamp(market_id)))

    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(serve)
        yield
        serving.result(timeout=10)


def test_a_late_answer_is_dropped_and_the_next_call_is_right(
    server, clients, hand, service, market
):
    """The answer of the call that timed out can be read by its id."""
    risk = clients(server.url)
    risk.publish_market(market)
    with ThreadPoolExecutor(1) as pool:
        timed_out = pool.submit(risk.check, Portfolio("late", {"AMD": 5.0}), timeout_s=0.3)
        late = hand.take()
        block = hand.broker.start(late, worker="hand")
        with pytest.raises(ReportTimeoutError):
            timed_out.result(timeout=5)
    assert hand.broker.finish(late, service.run(block.payload, Stamp(market.id))) is not None

    with served_by_hand(hand, service, market.id):
        report = risk.check(ONE)

    assert report.portfolio_id == "one"
    assert report.measures["market_value"].value == market.prices[market.index["AAPL"]]
    assert result_key(late) in server.key_names()


def test_a_client_that_waits_for_long_stays_connected(server, clients, monkeypatch):
    """It renews its entry, and the sweep does not remove it."""
    monkeypatch.setattr("risk_tasks.client.replies._SEEN_EVERY_S", 0.05)
    risk = clients(server.url, timeout_s=10)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(risk.check, ONE)
        client_id, first = wait_until(
            lambda: next(iter(server.client.zrange(CLIENTS_KEY, 0, -1, withscores=True)), None), 3
        )
        wait_until(lambda: server.client.zscore(CLIENTS_KEY, client_id) > first + 500, 5)
        risk.close()
        assert waiting.exception(timeout=10) is not None


def test_answers_that_arrive_out_of_order_are_returned_in_order(
    server, clients, hand, service, market, monkeypatch
):
    """The last block is answered first."""
    monkeypatch.setattr("risk_tasks.client.partitioning.LARGEST", BlockBounds(1, 50_000))
    risk = clients(server.url)
    risk.publish_market(market)
    portfolios = [Portfolio(unique(), {name: 1.0}) for name in ("AAPL", "AMD", "XOM")]

    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(risk.check_many, portfolios, measures=["market_value"])
        for block_id in reversed([hand.take() for _ in portfolios]):
            block = hand.broker.start(block_id, worker="hand")
            hand.broker.finish(block_id, service.run(block.payload, Stamp(market.id)))
        reports = pending.result(timeout=5)

    assert [report.portfolio_id for report in reports] == [p.id for p in portfolios]
    assert [report.measures["market_value"].value for report in reports] == [
        market.prices[market.index[name]] for name in ("AAPL", "AMD", "XOM")
    ]


@pytest.fixture
def proxied(server) -> Iterator[Callable[[Callable[[bytes], bool]], Proxy]]:
    """Makes connections to this test's own server."""
    made: list[Proxy] = []

    def make(matches: Callable[[bytes], bool]) -> Proxy:
        made.append(Proxy(server.port, matches))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


def test_a_block_is_accepted_once_when_the_reply_is_lost(
    server, clients, hand, service, market, proxied
):
    """The client repeats the call, and the server recognises the block."""
    clients(server.url).publish_market(market)
    wire = proxied(lambda data: b"accepted" in data)
    risk = clients(wire.url)

    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(risk.check, ONE, timeout_s=10)
        wait_until(lambda: wire.matches == 2, 3, "a repeat")
        assert server.lane(Lane.NORMAL)[0] == server.client.llen("risk.normal") == 1
        with served_by_hand(hand, service, market.id):
            report = pending.result(timeout=10)

    assert report.measures["market_value"].value == market.prices[market.index["AAPL"]]
    assert server.client.llen("risk.normal") == 0
    assert server.lane(Lane.NORMAL) == (0, 0)


LOST = {
    "that there is an answer": lambda data: b"risk:reply:" in data,
    "the answer itself": lambda data: b"risk.answer" in data,
}


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST.keys())
def test_an_answer_lost_with_its_connection_is_read_again(
    server, clients, hand, service, market, proxied, lost
):
    """It stays on the server until the client has read it."""
    clients(server.url).publish_market(market)
    wire = proxied(lost)
    risk = clients(wire.url, timeout_s=3)

    with served_by_hand(hand, service, market.id):
        report = risk.check(ONE)

    assert wire.matches >= 1
    assert report.measures["market_value"].value == market.prices[market.index["AAPL"]]


def test_a_request_error_is_not_a_transport_error(risk):
    """A caller that retries on `TransportError` does not retry an invalid request."""
    with pytest.raises(RequestError) as caught:
        risk.check(Portfolio("p", {"NOPE": 1.0}))

    assert not isinstance(caught.value, TransportError)
    assert not caught.value.retriable
