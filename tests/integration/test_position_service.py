"""Changes of live portfolios and critical events as plain JSON, on a real server."""

from __future__ import annotations

from typing import Any

import pytest

from risk_tasks.connection import connect
from risk_tasks.embedding.fleet import free_port
from risk_tasks.errors import TransportError
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.service import PositionService
from risk_tasks.store.portfolios import PortfolioStore

pytestmark = pytest.mark.integration

BOOK = {"id": "p", "positions": {"A": 1, "B": -0.5}, "cash": 5, "tags": {"desk": "us"}}


@pytest.fixture
def portfolios(server) -> PortfolioStore:
    return PortfolioStore(server.client)


@pytest.fixture
def service(portfolios) -> PositionService:
    return PositionService(portfolios)


def held(version: int) -> dict[str, Any]:
    return {"status": "ok", "portfolio_id": "p", "version": version}


def test_a_portfolio_is_set_changed_and_removed(service, portfolios):
    assert service.update({"portfolio": BOOK}, [], "t1") == held(1)
    assert service.change({"portfolio_id": "p", "deltas": {"A": 2, "B": 0.5}}, [], "t2") == held(2)

    assert portfolios.get("p") == Portfolio("p", {"A": 3.0}, cash=5.0, tags={"desk": "us"})
    assert portfolios.get("p").version == 2

    assert service.update({"portfolio": None, "portfolio_id": "p"}, [], "t3") == held(2)
    assert portfolios.ids() == []


def test_an_update_accepts_a_portfolio_with_its_id(service, portfolios):
    assert service.update({"portfolio": BOOK, "portfolio_id": "p"}, [], "t1") == held(1)
    assert portfolios.ids() == ["p"]


def test_a_repeated_task_changes_nothing(service, portfolios):
    """Even if other tasks came in between."""
    change = {"portfolio_id": "p", "deltas": {"A": 2}}
    service.update({"portfolio": BOOK}, [], "t1")
    service.change(change, [], "t2")
    service.change(change, [], "t3")

    assert service.change(change, [], "t2") == held(2)
    assert service.update({"portfolio": BOOK}, [], "t1") == held(1)
    assert portfolios.get("p").positions["A"] == 5.0
    for _ in range(2):
        assert service.update({"portfolio_id": "p"}, [], "t4") == held(3)


def test_an_event_id_takes_precedence_over_the_id_of_the_task(service, portfolios):
    change = {"portfolio_id": "p", "deltas": {"A": 2}, "event_id": "fill-7"}
    service.update({"portfolio": BOOK}, [], "t1")

    assert service.change(change, [], "t2") == held(2)
    assert service.change(change, [], "t3") == held(2)
    assert service.change({**change, "event_id": None}, [], "t2") == held(3)
    assert service.change({**change, "event_id": None}, [], "t2") == held(3)
    assert portfolios.get("p").positions["A"] == 5.0


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        ({}, "invalid_portfolio", "portfolio_id"),
        ({"portfolio_id": "", "deltas": {"A": 1}}, "invalid_portfolio", "portfolio_id"),
        ({"portfolio_id": 7, "deltas": {"A": 1}}, "invalid_portfolio", "portfolio_id"),
        ({"portfolio_id": "q", "deltas": {"A": 1}}, "unknown_portfolio", "portfolio_id"),
        ({"portfolio_id": "p"}, "invalid_portfolio", "deltas"),
        ({"portfolio_id": "p", "deltas": {}}, "invalid_portfolio", "deltas"),
        ({"portfolio_id": "p", "deltas": [["A", 1]]}, "invalid_portfolio", "deltas"),
        ({"portfolio_id": "p", "deltas": {"A": "x"}}, "invalid_portfolio", "deltas['A']"),
        ({"portfolio_id": "p", "deltas": {"B": 1, "": 1}}, "invalid_portfolio", "deltas['']"),
        (
            {"portfolio_id": "p", "deltas": {"B": 1, "A": float("nan")}},
            "invalid_portfolio",
            "deltas['A']",
        ),
        (
            {"portfolio_id": "p", "deltas": {"B": 1, "TOP": 1.7e308}},
            "invalid_portfolio",
            "deltas['TOP']",
        ),
        (
            {"portfolio_id": "p", "deltas": {"A": 1}, "event_id": 7},
            "invalid_settings",
            "event_id",
        ),
        ({"portfolio_id": "p", "delta": {"A": 1}}, "invalid_settings", "delta"),
    ],
)
def test_an_invalid_change_is_refused_and_changes_nothing(service, server, request_, code, field):
    service.update({"portfolio": {"id": "p", "positions": {"A": 1, "TOP": 1.7e308}}}, [], "t1")
    before = server.content()

    answer = service.change(request_, [], "t2")

    assert (answer["status"], answer["code"], answer["field"]) == ("error", code, field)
    assert answer["message"]
    assert answer["remedy"]
    assert server.content() == before


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        ({}, "invalid_portfolio", "portfolio"),
        ({"portfolio": "p"}, "invalid_portfolio", "portfolio"),
        ({"portfolio": {**BOOK, "positions": 3}}, "invalid_portfolio", "portfolio.positions"),
        ({"portfolio": {**BOOK, "positions": {"A": None}}}, "invalid_portfolio", None),
        ({"portfolio": BOOK, "portfolio_id": "q"}, "invalid_settings", "portfolio_id"),
        ({"portfolio_id": "q"}, "unknown_portfolio", "portfolio_id"),
        ({"portfolio": BOOK, "event_id": ""}, "invalid_settings", "event_id"),
        ({"portfolio": BOOK, "deltas": {"A": 1}}, "invalid_settings", "deltas"),
    ],
)
def test_an_invalid_update_is_refused_and_changes_nothing(service, server, request_, code, field):
    service.update({"portfolio": {"id": "p", "positions": {"A": 1}}}, [], "t1")
    before = server.content()

    answer = service.update(request_, [], "t2")

    assert (answer["status"], answer["code"]) == ("error", code)
    assert field in (None, answer["field"])
    assert answer["remedy"]
    assert server.content() == before


def test_arguments_by_position_are_refused(service, server):
    for do in (service.change, service.update):
        answer = do({"portfolio": BOOK}, [BOOK], "t1")
        assert (answer["code"], answer["field"]) == ("invalid_settings", "args")
    assert server.key_names() == set()


def test_an_unreachable_server_raises_so_that_the_task_is_repeated():
    with connect(f"redis://127.0.0.1:{free_port()}/0", n_retries=0) as nobody:
        service = PositionService(PortfolioStore(nobody))
        with pytest.raises(TransportError):
            service.change({"portfolio_id": "p", "deltas": {"A": 1}}, [], "t1")


def event(n_portfolios: int, *unknown_ids: str) -> dict[str, Any]:
    return {"status": "ok", "n_portfolios": n_portfolios, "unknown_ids": list(unknown_ids)}


def test_a_critical_event_counts_its_portfolios_and_names_unknown_ids(service, portfolios):
    for name in "pqr":
        portfolios.set(Portfolio(name, {"A": 1.0}))

    named = {"event": "flash crash", "portfolio_ids": ["p", "nobody", "q", "p", "none"]}
    assert service.critical_event(named, [], "t1") == event(2, "nobody", "none")
    assert service.critical_event({"event": "flash crash"}, [], "t2") == event(3)


def test_a_repeated_critical_event_changes_nothing(service, portfolios, server):
    portfolios.set(Portfolio("p", {"A": 1.0}))
    halt = {"event": "halt", "portfolio_ids": ["p", "none"], "event_id": "halt-1"}
    assert service.critical_event(halt, [], "t1") == event(1, "none")
    assert service.critical_event({"event": "fire"}, [], "t2") == event(1)
    before = server.content()

    assert service.critical_event(halt, [], "t3") == event(1, "none")
    assert service.critical_event({"event": "fire"}, [], "t2") == event(1)

    assert server.content() == before


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        ({}, "invalid_settings", "event"),
        ({"event": 7}, "invalid_settings", "event"),
        ({"event": "  "}, "invalid_settings", "event"),
        ({"event": "\ud800"}, "invalid_settings", "event"),
        ({"event": "x" * 257}, "invalid_settings", "event"),
        ({"event": "x", "event_id": ""}, "invalid_settings", "event_id"),
        ({"event": "x", "portfolios": ["p"]}, "invalid_settings", "portfolios"),
        ({"event": "x", "portfolio_ids": "p"}, "invalid_portfolio", "portfolio_ids"),
        ({"event": "x", "portfolio_ids": []}, "invalid_portfolio", "portfolio_ids"),
        ({"event": "x", "portfolio_ids": {"p": 1}}, "invalid_portfolio", "portfolio_ids"),
        ({"event": "x", "portfolio_ids": ["p", 7]}, "invalid_portfolio", "portfolio_ids[1]"),
        ({"event": "x", "portfolio_ids": ["p"] * 10_001}, "invalid_portfolio", "portfolio_ids"),
    ],
)
def test_a_malformed_critical_event_changes_nothing(service, server, request_, code, field):
    service.update({"portfolio": BOOK}, [], "t1")
    before = server.content()

    answer = service.critical_event(request_, [], "t2")

    assert (answer["status"], answer["code"], answer["field"]) == ("error", code, field)
    assert answer["message"]
    assert answer["remedy"]
    assert server.content() == before
