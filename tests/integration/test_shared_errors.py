"""An error of a shared message reaches the call that caused it, by every way of calling."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import pytest

from risk_tasks import AsyncRiskClient, Portfolio, RiskClient
from risk_tasks.broker.blocks import BlockBroker
from risk_tasks.connection import connect
from risk_tasks.errors import RiskTasksError
from risk_tasks.http.application import create_application
from risk_tasks.http.gateway import Gateway
from risk_tasks.keys import QUOTAS_KEY, lane_key
from risk_tasks.model.report import Stamp
from risk_tasks.queues import LANE_CAPACITY, MAX_REQUEUES, Lane, LaneCapacity
from risk_tasks.store.idempotency import IdempotencyStore
from risk_tasks.wire.documents import portfolio_document
from risk_tasks.wire.request import decode_request
from tests.integration.conftest import server_of_our_own
from tests.integration.support import running, unique, wait_until
from tests.unit.client.gathering_coalescer import GatheringCoalescer

pytestmark = pytest.mark.integration

POISON = Portfolio("poison", {"AAPL": 1.0})
CALLS = [*(Portfolio(f"p{n}", {"AAPL": 1.0 + n}) for n in range(3)), POISON]


class Outcome(NamedTuple):
    """The id of the portfolio in a report, or the code of an error; and its check id."""

    portfolio_id: str | None
    code: str | None
    check_id: str = ""


def by_threads(url: str, portfolios: Sequence[Portfolio], **options: Any) -> list[Outcome]:
    """Check each portfolio in a thread of its own, all in one message."""
    with RiskClient(url, client_name=options.pop("name", "")) as risk:
        risk._coalescers[os.getpid()] = coalescer = GatheringCoalescer(risk._connection)

        def check(portfolio: Portfolio) -> Outcome:
            try:
                return Outcome(risk.check(portfolio, **options).portfolio_id, None)
            except RiskTasksError as error:
                return Outcome(None, error.code, getattr(error, "check_id", ""))

        with ThreadPoolExecutor(len(portfolios)) as pool:
            coalescer.hold()
            calls = [pool.submit(check, portfolio) for portfolio in portfolios]
            coalescer.release(len(calls))
            return [call.result(60) for call in calls]


def by_asyncio(url: str, portfolios: Sequence[Portfolio], **options: Any) -> list[Outcome]:
    """Check each portfolio in a task of its own, all in one message."""

    async def check(risk: AsyncRiskClient, portfolio: Portfolio) -> Outcome:
        try:
            return Outcome((await risk.check(portfolio, **options)).portfolio_id, None)
        except RiskTasksError as error:
            return Outcome(None, error.code, getattr(error, "check_id", ""))

    return asyncio.run(in_one_message(url, portfolios, options.pop("name", ""), check))


def by_http(url: str, portfolios: Sequence[Portfolio], **options: Any) -> list[Outcome]:
    """Post each portfolio in a request of its own, all in one message."""

    async def check(risk: AsyncRiskClient, portfolio: Portfolio) -> Outcome:
        timeout_s = options.get("timeout_s", 30)
        body = {"portfolios": [portfolio_document(portfolio)]}
        if "priority" in options:
            body["priority"] = options["priority"]
        async with gateway_client(risk, url) as http:
            response = await http.post(
                "/v1/checks", json=body, headers={"X-Timeout-Ms": str(int(timeout_s * 1e3))}
            )
        found = response.json()
        if response.status_code == 200:
            return Outcome(found["reports"][0]["portfolio_id"], None)
        return Outcome(None, found["code"], found.get("check_id", ""))

    return asyncio.run(in_one_message(url, portfolios, options.pop("name", ""), check))


WAYS = [by_threads, by_asyncio, by_http]


def gateway_client(risk: AsyncRiskClient, url: str) -> httpx.AsyncClient:
    gateway = Gateway(risk, IdempotencyStore(connect(url)), lambda: None)
    transport = httpx.ASGITransport(create_application(gateway))
    return httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=60)


async def in_one_message(
    url: str, portfolios: Sequence[Portfolio], name: str, check: Callable[..., Any]
) -> list[Outcome]:
    async with AsyncRiskClient(url, client_name=name, max_wait_s=0.05) as risk:
        risk._coalescer.begin()
        tasks = [asyncio.create_task(check(risk, portfolio)) for portfolio in portfolios]
        while len(risk._pending) < len(portfolios):  # noqa: ASYNC110 - the client has no event
            await asyncio.sleep(0.001)
        risk._coalescer.end()
        risk._send_due()
        return await asyncio.wait_for(asyncio.gather(*tasks), 60)


FAILING_WORKER = """
from risk_tasks.__main__ import main
from risk_tasks.service import Service
from risk_tasks.wire.request import decode_request

answer = Service.answer

def fail_on_poison(self, payload, *args, **kwargs):
    if "poison" in decode_request(payload).portfolio_ids.to_pylist():
        raise MemoryError
    return answer(self, payload, *args, **kwargs)

Service.answer = fail_on_poison
main()
"""


@pytest.fixture(scope="module")
def failing_worker(market, tmp_path_factory) -> Iterator[str]:
    """The URL of a real worker that fails on blocks with a portfolio `poison`."""
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    settings = {"RISK_TASKS_LOG_LEVEL": "info"}
    with server_of_our_own() as server:
        settings["RISK_TASKS_BROKER_URL"] = server.url
        with running("-c", FAILING_WORKER, "worker", log=log, settings=settings):
            with RiskClient(server.url, timeout_s=60) as risk:
                risk.publish_market(market)
                assert risk.check(CALLS[0], timeout_s=60).status == "ok", log.read_text()
            yield server.url


@pytest.fixture
def deadly_server(server, hand, service, market) -> Iterator[str]:
    """The URL of a server whose workers die of blocks with a portfolio `poison`.

    The real scripts requeue and bury blocks of dead workers; other blocks are answered by the
    real pipeline.
    """
    with RiskClient(server.url) as risk:
        risk.publish_market(market)
    is_done = threading.Event()

    def serve() -> None:
        with connect(server.url) as client:
            broker = BlockBroker(client)
            while not is_done.is_set():
                try:
                    block_id = hand.take(timeout_s=0.2)
                except AssertionError:
                    continue
                block = broker.start(block_id, worker="mortal")
                if block is None:
                    continue
                if "poison" in decode_request(block.payload).portfolio_ids.to_pylist():
                    broker.reap()
                else:
                    broker.finish(block_id, service.run(block.payload, Stamp(market.id)))

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.url
    is_done.set()
    thread.join()


def expected(code: str) -> list[tuple[str | None, str | None]]:
    """Return the outcomes of `CALLS` if only `POISON` fails."""
    return [*((portfolio.id, None) for portfolio in CALLS[:-1]), (None, code)]


@pytest.mark.parametrize("call", WAYS)
def test_only_the_poison_gets_the_failure_of_the_worker(failing_worker, call):
    found = call(failing_worker, CALLS, timeout_s=30)

    assert [outcome[:2] for outcome in found] == expected("error")


@pytest.mark.parametrize("call", WAYS)
def test_only_the_poison_becomes_a_dead_letter(deadly_server, call):
    assert MAX_REQUEUES > 0
    found = call(deadly_server, CALLS, timeout_s=30)

    assert [outcome[:2] for outcome in found] == expected("dead_letter")


@pytest.mark.parametrize("call", WAYS)
def test_a_full_lane_accepts_a_call_that_fits_individually(
    server, deadly_server, call, monkeypatch
):
    """One check waits already, and two fit: a message of three is refused, each of them is not."""
    monkeypatch.setitem(LANE_CAPACITY, Lane.NORMAL, LaneCapacity(2, 1 << 20))
    server.client.hset(lane_key(Lane.NORMAL), mapping={"checks": 1, "bytes": 1})

    found = call(deadly_server, CALLS[:3], timeout_s=30)

    assert {outcome.code for outcome in found} <= {None, "queue_full"}
    assert None in {outcome.code for outcome in found}


@pytest.mark.parametrize("call", [by_asyncio, by_http])
def test_a_quota_accepts_a_call_that_it_allows_individually(server, call, monkeypatch):
    """Two of three critical checks are left; in threads, critical checks share no message."""
    name = unique("quota")
    server.client.hset(QUOTAS_KEY, name, 3)
    enqueue, sizes = BlockBroker.enqueue, []

    def enqueue_with_two_left(self, *args, n_checks, **how):
        if not sizes:
            bucket = {"left": 2, "at_ms": server.now_ms()}
            server.client.hset(f"risk:quota:{name}", mapping=bucket)
        sizes.append(n_checks)
        return enqueue(self, *args, n_checks=n_checks, **how)

    monkeypatch.setattr(BlockBroker, "enqueue", enqueue_with_two_left)

    found = call(server.url, CALLS[:3], name=name, priority="critical", timeout_s=0.5)

    assert sizes[0] == 3
    assert set(sizes[1:]) == {1}
    assert "timeout" in {outcome.code for outcome in found} <= {"quota_exceeded", "timeout"}


@pytest.mark.parametrize("call", WAYS)
def test_the_id_in_a_timeout_of_a_shared_message_is_read_everywhere(
    server, hand, service, market, call
):
    """By `result` of both clients and by GET, each the report of its own portfolio."""
    with RiskClient(server.url) as risk:
        risk.publish_market(market)
    late = call(server.url, CALLS[:3], timeout_s=0.5)
    assert [outcome.code for outcome in late] == ["timeout"] * 3
    block_id = hand.take()
    server.client.hset(f"risk:block:{block_id}", "deadline_ms", server.now_ms() + 60_000)
    block = hand.broker.start(block_id, worker="slow")
    hand.broker.finish(block_id, service.run(block.payload, Stamp(market.id)))

    async def read(check_id: str) -> tuple[list[str], list[str]]:
        async with AsyncRiskClient(server.url) as risk, gateway_client(risk, server.url) as http:
            reports = await risk.result(check_id)
            response = await http.get(f"/v1/checks/{check_id}", headers={"Prefer": "wait=5"})
            assert response.status_code == 200, response.text
            documents = response.json()["reports"]
        return [one.portfolio_id for one in reports], [one["portfolio_id"] for one in documents]

    for outcome, portfolio in zip(late, CALLS, strict=False):
        with RiskClient(server.url) as risk:
            assert [one.portfolio_id for one in risk.result(outcome.check_id)] == [portfolio.id]
        assert asyncio.run(read(outcome.check_id)) == ([portfolio.id], [portfolio.id])


@pytest.mark.parametrize("call", WAYS)
def test_the_id_in_the_timeout_of_a_single_check_is_that_of_the_call(server, call):
    """Its answer is still missing: `result` raises the timeout again, with the same id."""
    (late,) = call(server.url, CALLS[:1], timeout_s=0.2)

    assert ":" not in late.check_id
    wait_until(lambda: server.lane(Lane.NORMAL)[0] == 1, 3)
    with RiskClient(server.url) as risk, pytest.raises(RiskTasksError) as caught:
        risk.result(late.check_id, timeout_s=0.05)
    assert (caught.value.code, caught.value.check_id) == ("timeout", late.check_id)
