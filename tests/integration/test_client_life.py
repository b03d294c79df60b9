"""A client that is closed, shared between threads, or inherited across a fork."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from risk_tasks import Portfolio, RiskClient
from risk_tasks.client.check_ids import CheckId
from risk_tasks.errors import TransportError
from risk_tasks.keys import block_key
from risk_tasks.wire.request import encode_request
from tests.integration.support import environment, wait_until

pytestmark = pytest.mark.integration

ONE = Portfolio("one", {"AAPL": 1.0})


def test_a_closed_client_refuses_calls(bare, clients, market):
    """Its thread has ended."""
    before = set(threading.enumerate())
    risk = clients(bare.url, timeout_s=20)
    risk.publish_market(market)
    risk.check(ONE)
    assert set(threading.enumerate()) > before
    risk.close()

    for call in (lambda: risk.check(ONE), lambda: risk.publish_market(market), risk.load_market):
        with pytest.raises(TransportError, match="closed"):
            call()
    assert set(threading.enumerate()) == before


def test_closing_ends_the_wait_of_other_threads(server, clients):
    """Waiting calls raise `TransportError` at once."""
    risk = clients(server.url, timeout_s=30)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(risk.check, ONE)
        wait_until(lambda: server.client.llen("risk.normal"), 3)
        started = time.monotonic()
        risk.close()
        with pytest.raises(TransportError):
            waiting.result(timeout=10)

    assert time.monotonic() - started < 3


def test_the_time_before_a_block_is_sent_is_part_of_its_timeout(server, clients, monkeypatch):
    """No worker starts a block whose caller no longer waits."""

    def encode_slowly(request):
        time.sleep(0.5)
        return encode_request(request)

    monkeypatch.setattr("risk_tasks.client.connection.encode_request", encode_slowly)
    handle = clients(server.url, timeout_s=30).submit([ONE])

    (block_id,) = CheckId.parse(handle.check_id).block_ids()
    enqueued, deadline = server.client.hmget(block_key(block_id), "enqueued_ms", "deadline_ms")
    assert 0 < int(deadline) - int(enqueued) <= 29_500


def test_a_call_that_starts_while_the_client_closes_raises_at_once(server, clients, monkeypatch):
    """Nothing of it is sent."""
    risk = clients(server.url, timeout_s=30)
    connection = risk._connection
    partition = connection._partition
    monkeypatch.setattr(
        connection, "_partition", lambda *args, **how: (risk.close(), partition(*args, **how))[1]
    )

    with pytest.raises(TransportError, match="closed"):
        risk.check(ONE)

    assert server.client.llen("risk.normal") == 0


def test_a_client_may_be_closed_twice_and_unused(server):
    """Closing an unused client sends nothing."""
    risk = RiskClient(server.url)
    risk.close()
    risk.close()

    with pytest.raises(TransportError):
        risk.check(ONE)


# --- forks


FORK = """
import os, sys, multiprocessing
from concurrent.futures import ThreadPoolExecutor
from risk_tasks import Portfolio, RiskClient

risk = RiskClient(sys.argv[1], timeout_s=20)
unit = risk.check(Portfolio("p", {"AAPL": 1.0})).measures["market_value"].value

def right(start):
    for quantity in range(start, start + 15):
        report = risk.check(Portfolio(f"p{quantity}", {"AAPL": float(quantity)}))
        assert report.portfolio_id == f"p{quantity}"
        assert report.measures["market_value"].value == unit * quantity
    return risk._connection._client_id

def child(start, queue):
    queue.put(right(start))
    risk.close()

context = multiprocessing.get_context("fork")
queue = context.Queue()
with ThreadPoolExecutor(1) as pool:
    # The parent forks during its own checks, while its reply thread waits.
    own = pool.submit(right, 1)
    children = [context.Process(target=child, args=(100 * n, queue)) for n in (1, 2)]
    for process in children:
        process.start()
    ids = {own.result(60), *(queue.get(timeout=60) for _ in children)}
for process in children:
    process.join(30)
assert [process.exitcode for process in children] == [0, 0]
assert len(ids) == 3, ids
assert right(500) in ids
risk.close()
print("right")
"""


def test_a_client_may_be_used_after_a_fork(fleet):
    """Parent and children each have connections and a reply list of their own."""
    done = subprocess.run(
        [sys.executable, "-c", FORK, fleet.url],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr
