"""Calls of several threads that share a message: each gets the same as alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from risk_tasks import Portfolio, RiskClient
from risk_tasks.broker.blocks import BlockBroker
from risk_tasks.errors import ReportTimeoutError, RiskTasksError, UnknownInstrumentError
from risk_tasks.keys import block_key
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.report import RiskReport, Stamp
from risk_tasks.service.pipeline import Service
from risk_tasks.wire.reports import reports
from risk_tasks.wire.request import Terms, pack_portfolios
from tests.integration.support import books, untimed
from tests.integration.test_tables import about, positions_of
from tests.unit.client.gathering_coalescer import GatheringCoalescer

pytestmark = pytest.mark.integration

ODD = Portfolio("odd", {"GOLD": 1.0})


def together(risk: RiskClient, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Return the results or errors of `calls`, none of which is sent before all gather."""
    risk._coalescers[os.getpid()] = coalescer = GatheringCoalescer(risk._connection)

    def one(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except RiskTasksError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        coalescer.hold()
        requests = [pool.submit(one, call) for call in calls]
        coalescer.release(len(calls))
        return [each.result(30) for each in requests]


def service_report(service: Service, market: MarketSnapshot, portfolio: Portfolio) -> RiskReport:
    """Return the report of the pipeline for one portfolio."""
    terms = Terms(parse_measures(None), MeasureSettings())
    answer = service.check(pack_portfolios([portfolio], terms), Stamp(market.id))
    return reports([portfolio.id], [answer])[0]


@pytest.fixture
def messages(monkeypatch):
    """The sizes of the messages that are sent, in checks."""
    sizes = []
    enqueue = BlockBroker.enqueue

    def counted(self, *args, n_checks, **kwargs):
        sizes.append(n_checks)
        return enqueue(self, *args, n_checks=n_checks, **kwargs)

    monkeypatch.setattr(BlockBroker, "enqueue", counted)
    return sizes


def test_tables_of_several_threads_equal_those_of_each_alone(
    fleet, clients, market, limit_set, messages
):
    """To the bit, in one message; ids repeat, and one table has an invalid portfolio."""
    risk = clients(fleet.url, timeout_s=20)
    requests = [books(n, market.instruments, seed=n) for n in (3, 5, 1)]
    requests[1].append(ODD)
    calls = [
        lambda one=one: risk.check_table(
            positions_of(one), portfolios=about(one), limits=limit_set, return_breaches=True
        )
        for one in requests
    ]
    alone = [call() for call in calls]
    messages.clear()

    found = together(risk, calls)

    assert messages == [10]
    for (table, breaches), (own, own_breaches) in zip(found, alone, strict=True):
        assert table.equals(own)
        assert breaches.equals(own_breaches)
    assert found[1][0]["code"].to_pylist() == [*[None] * 5, "unknown_instrument"]
    assert sum(len(breaches) for _, breaches in found)


def test_checks_of_several_threads_equal_those_of_each_alone(fleet, clients, book, messages):
    """An error reaches its own caller; tables and reports do not share a message."""
    risk = clients(fleet.url, timeout_s=20)
    positions = positions_of([book[0]])
    alone = [risk.check_many(book), risk.check(book[0]), risk.check_table(positions)]
    messages.clear()

    many, one, odd, table = together(
        risk,
        [
            lambda: risk.check_many(book),
            lambda: risk.check(book[0]),
            lambda: risk.check(ODD),
            lambda: risk.check_table(positions),
        ],
    )

    assert sorted(messages) == [1, len(book) + 2]
    assert untimed(many) == untimed(alone[0])
    assert untimed([one]) == untimed([alone[1]])
    assert table.equals(alone[2])
    assert isinstance(odd, UnknownInstrumentError)
    assert odd.field == "positions['GOLD']"


def test_each_call_reads_its_own_rows_of_a_late_answer(server, clients, hand, service, market):
    """By the check id of its own error."""
    clients(server.url).publish_market(market)
    risk = clients(server.url, timeout_s=0.5)
    requests = [books(n, market.instruments, seed=n) for n in (2, 3)]

    late = together(risk, [lambda one=one: risk.check_many(one) for one in requests])
    assert [type(error) for error in late] == [ReportTimeoutError] * 2
    block_id = hand.take()
    server.client.hset(block_key(block_id), "deadline_ms", server.now_ms() + 60_000)
    block = hand.broker.start(block_id, worker="slow")
    hand.broker.finish(block_id, service.run(block.payload, Stamp(market.id)))

    for one, error in zip(requests, late, strict=True):
        found = risk.result(error.check_id, timeout_s=5)
        assert [report.portfolio_id for report in found] == [portfolio.id for portfolio in one]
        own = [service_report(service, market, portfolio) for portfolio in one]
        assert untimed(found) == untimed(own)
