"""Delivery of changes of state to Celery queues, on a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from risk_tasks.connection import connect
from risk_tasks.keys import BREACHES_KEY
from risk_tasks.model.live import LimitChange, LimitState
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.queues import LIMIT_BREACH_TASK, Lane
from risk_tasks.store import breaches as breaches_module
from risk_tasks.store.breaches import BEGINNING, BreachStream, ListenerStore
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.upkeep import breach_dispatch as dispatch_module
from risk_tasks.upkeep.breach_dispatch import BreachDispatch
from risk_tasks.wire.documents import change_document
from tests.integration.live_worker import LiveWorker
from tests.integration.support import Server

pytestmark = pytest.mark.integration

CRITICAL = Lane.CRITICAL.queue


@dataclass
class Desk:
    """A breach stream and the queues that listen to it."""

    server: Server
    listeners: ListenerStore
    stream: BreachStream
    dispatch: BreachDispatch

    def delivered(self, queue: str) -> list[str]:
        """Return the event ids of the messages in `queue`, the oldest first."""
        return [message["headers"]["id"] for message in self.server.messages(queue)]

    def requests(self) -> int:
        """Return the number of dispatches that were requested."""
        messages = self.server.messages(CRITICAL)
        assert {message["headers"]["task"] for message in messages} <= {LIMIT_BREACH_TASK}
        return len(messages)

    def changes(self) -> list[LimitChange]:
        return self.stream.read(BEGINNING, limit=10_000)


def dispatch_on(client) -> BreachDispatch:
    return BreachDispatch(ListenerStore(client), BreachStream(client))


@pytest.fixture
def desk(server) -> Desk:
    client = server.client
    return Desk(server, ListenerStore(client), BreachStream(client), dispatch_on(client))


@pytest.fixture
def change(server) -> Iterator[Callable[..., None]]:
    """Changes the state of a limit of each of `n` portfolios."""
    states = iter([LimitState.HARD, LimitState.WARN, LimitState.OK] * 3)

    def happen(n: int = 3) -> None:
        portfolios, state = PortfolioStore(server.client), next(states)
        for number in range(n):
            portfolios.set(Portfolio(f"p{number}", {"A": 1.0}))
        assert LiveWorker(server.client).work(state) == n
        # Remove the message that recording put on the lane: it is not a task.
        server.client.delete(CRITICAL)

    return happen


def test_each_listener_receives_the_changes_after_its_position_once_and_in_order(desk, change):
    change()
    position = desk.stream.last()
    change()
    desk.listeners.add("all", BEGINNING)
    desk.listeners.add("later", position)

    for _ in range(2):
        desk.dispatch.step()

    events = [one.event_id for one in desk.changes()]
    assert len(events) == 6
    assert desk.delivered("all") == events
    assert desk.delivered("later") == events[3:]
    assert set(desk.listeners.all().values()) == {desk.stream.last()}


def test_a_message_is_a_task_with_the_change_as_arguments(desk, change):
    desk.listeners.add("desk", BEGINNING)
    change(1)

    desk.dispatch.step()

    (message,), (sent,) = desk.server.messages("desk"), desk.changes()
    args, kwargs, _ = json.loads(message["body"])
    assert (message["headers"]["task"], args) == (LIMIT_BREACH_TASK, [])
    assert kwargs == json.loads(json.dumps(change_document(sent)))
    assert (kwargs["portfolio_id"], kwargs["before"]) == ("p0", "ok")
    assert message["properties"]["delivery_info"]["routing_key"] == "desk"


def test_more_changes_than_one_read_returns_are_all_delivered(desk, change, monkeypatch):
    monkeypatch.setattr(dispatch_module, "MAX_PER_READ", 2)
    desk.listeners.add("desk", BEGINNING)
    change(7)

    while desk.delivered("desk") != [one.event_id for one in desk.changes()]:
        before = len(desk.delivered("desk"))
        desk.dispatch.step()
        assert len(desk.delivered("desk")) > before


def test_a_full_queue_receives_the_rest_when_it_has_room(desk, change, monkeypatch):
    """Other queues do not wait for it."""
    monkeypatch.setattr(breaches_module, "MAX_UNREAD", 4)
    for queue in ("idle", "read"):
        desk.listeners.add(queue, BEGINNING)
    change()
    desk.dispatch.step()
    desk.server.client.delete("read")
    change()
    desk.dispatch.step()

    events = [one.event_id for one in desk.changes()]
    assert desk.delivered("idle") == events[:4]
    assert desk.delivered("read") == events[3:]
    desk.dispatch.request()
    assert desk.requests() == 0

    for _ in range(3):
        desk.server.client.rpop("idle")
    desk.dispatch.step()
    assert desk.delivered("idle") == events[3:]


def test_a_listener_whose_changes_were_trimmed_receives_the_rest(desk, change):
    change()
    desk.listeners.add("late", desk.changes()[0].id)
    change()
    desk.server.client.xtrim(BREACHES_KEY, maxlen=2, approximate=False)

    with capture_logs() as lines:
        desk.dispatch.step()

    assert desk.delivered("late") == [one.event_id for one in desk.changes()]
    assert len(desk.delivered("late")) == 2
    assert [(line["event"], line["queue"]) for line in lines] == [("listener.changes_lost", "late")]


def test_a_step_that_runs_out_of_time_requests_one_more(desk, change, monkeypatch):
    """Only one, even if several steps run out of time before it starts."""
    desk.listeners.add("desk", BEGINNING)
    change()
    monkeypatch.setattr(dispatch_module, "STEP_S", 0.0)

    desk.dispatch.step()

    assert (desk.delivered("desk"), desk.requests()) == ([], 1)
    desk.dispatch.request()
    assert desk.requests() == 1

    monkeypatch.undo()
    desk.dispatch.step()
    assert (len(desk.delivered("desk")), desk.requests()) == (3, 1)


def test_a_dispatch_is_requested_if_a_queue_is_behind(desk, change):
    change()
    desk.dispatch.request()
    assert desk.requests() == 0

    desk.listeners.add("desk", desk.stream.last())
    desk.dispatch.request()
    assert desk.requests() == 0

    change()
    desk.server.client.delete("risk:live:dispatch")
    for _ in range(2):
        desk.dispatch.request()
    assert desk.requests() == 1


def test_without_listeners_nothing_is_done(desk, change):
    change()
    before = desk.server.content()

    desk.dispatch.step()
    desk.dispatch.request()

    after = desk.server.content()
    before.pop("risk:live:dispatch", None)
    assert after == before


def test_concurrent_dispatches_deliver_each_change_once(desk, change, monkeypatch):
    monkeypatch.setattr(dispatch_module, "MAX_PER_READ", 3)
    queues = [f"desk-{number}" for number in range(3)]
    for queue in queues:
        desk.listeners.add(queue, BEGINNING)
    change(120)
    events = [one.event_id for one in desk.changes()]

    def deliver(_: int) -> None:
        with connect(desk.server.url) as client:
            dispatch = dispatch_on(client)
            while any(position != desk.stream.last() for position in desk.listeners.all().values()):
                dispatch.step()

    with ThreadPoolExecutor(4) as several:
        list(several.map(deliver, range(4)))

    assert [desk.delivered(queue) for queue in queues] == [events] * 3
