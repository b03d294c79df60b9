"""Readers over HTTP share the changes of a group: each change goes to one, and none is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress

import httpx
import pytest

from risk_tasks import RiskClient
from risk_tasks.keys import BREACHES_KEY
from risk_tasks.model.live import LimitState
from risk_tasks.model.portfolio import Portfolio
from tests.integration.event_streams import EventStream, event_stream
from tests.integration.gateways import gateway, refused
from tests.integration.live_worker import LiveWorker
from tests.integration.support import wait_until
from tests.integration.test_gateway_breaches import response_of

pytestmark = pytest.mark.integration

STATES = (LimitState.WARN, LimitState.HARD)


class Book:
    """A live portfolio; each `change` changes the state of its limit."""

    def __init__(self, client: RiskClient, worker: LiveWorker) -> None:
        self._client, self._worker = client, worker
        self._version = client.set_portfolio(Portfolio("p", {"A": 1.0}))

    def change(self) -> int:
        """Change the state once and return the version of the portfolio."""
        self._version = self._client.change_positions("p", {"A": 1.0})
        assert self._worker.work(STATES[self._version % 2]) == 1
        return self._version


@pytest.fixture
def book(server, clients) -> Book:
    """On the server of this test."""
    return Book(clients(server.url), LiveWorker(server.client))


def reading(url: str, reader: str, last: str = "") -> AbstractContextManager[EventStream]:
    return event_stream(url, last_id=last, since="0", group="desk", reader=reader)


def share(url: str, reader: str, last: str = "") -> tuple[list[int], str]:
    """Return the versions of the next share of `reader`, and the id that acknowledges it."""
    with reading(url, reader, last) as stream:
        versions = [one["version"] for one in stream.share()]
        return versions, stream.last_id


def make_idle(server, reader: str) -> None:
    """Make all pending changes of `reader` look idle for a minute."""
    had = server.client.xpending_range(BREACHES_KEY, "desk", "-", "+", 100, consumername=reader)
    ids = [one["message_id"] for one in had]
    server.client.xclaim(BREACHES_KEY, "desk", reader, 0, ids, idle=61_000, justid=True)


def n_pending(server) -> int:
    """Return how many delivered changes of the group are not acknowledged."""
    return server.client.xpending(BREACHES_KEY, "desk")["pending"]


def test_changes_that_a_disconnected_reader_did_not_acknowledge_go_to_the_other(
    server, book, tmp_path
):
    with gateway(server.url, tmp_path) as served:
        url = served.url
        with reading(url, "one") as stream:
            # The connection closes before the share is read.
            kept = book.change()
        with reading(url, "two") as stream:
            book.change()
            found = [one["version"] for one in stream.share()]
            last = stream.last_id
        # The second reader has both if the first connection was already closed.
        if found != [kept, kept + 1]:
            assert found == [kept + 1]
            make_idle(server, "one")
            taken, more = share(url, "two", last)
            assert taken == [kept]
            last = more
        newest = book.change()
        assert share(url, "two", last)[0] == [newest]
        assert n_pending(server) == 1


def test_a_share_is_delivered_again_until_it_is_acknowledged(server, book, tmp_path):
    """To the same reader, and after a minute to another one."""
    with gateway(server.url, tmp_path) as served:
        url = served.url
        first = [book.change(), book.change(), book.change()]
        assert share(url, "one") == share(url, "one")
        versions, last = share(url, "one")
        assert versions == first
        second = book.change()
        assert share(url, "two")[0] == [second]
        assert n_pending(server) == 4

        third = book.change()
        versions, last = share(url, "one", last)
        assert (versions, n_pending(server)) == ([third], 2)
        make_idle(server, "two")
        versions, last = share(url, "one", last)
        assert (versions, n_pending(server)) == ([second], 1)
        with reading(url, "one", last):
            assert n_pending(server) == 0


def test_another_gateway_delivers_the_share_of_a_dead_one(server, book, tmp_path):
    """The reader acknowledges it to any gateway."""
    with gateway(server.url, tmp_path) as doomed, gateway(server.url, tmp_path) as other:
        first = book.change()
        with reading(doomed.url, "one") as stream:
            doomed.process.kill()
            with suppress(httpx.TransportError):
                stream.share()
        versions, last = share(other.url, "one")
        assert versions == [first]
        second = book.change()
        assert share(other.url, "one", last)[0] == [second]


def test_each_change_goes_to_one_reader(server, book, tmp_path):
    """Two readers, each of which sends its last id."""
    found: dict[str, list[int]] = {"one": [], "two": []}

    def read(reader: str) -> None:
        last = ""
        # Until the gateway stops and closes the streams.
        with suppress(httpx.TransportError):
            while True:
                versions, last = share(served.url, reader, last)
                found[reader] += versions

    with gateway(server.url, tmp_path) as served, ThreadPoolExecutor(2) as readers:
        for reader in found:
            readers.submit(read, reader)
        made = [book.change() for _ in range(30)]
        wait_until(lambda: sum(map(len, found.values())) >= 30, 60, "all changes to be read")
        assert served.stop() == 0

    assert sorted(found["one"] + found["two"]) == made
    assert all(versions == sorted(versions) for versions in found.values())


def test_a_new_group_starts_with_later_changes(server, book, tmp_path):
    with gateway(server.url, tmp_path) as served:
        book.change()
        with event_stream(served.url, group="late", reader="one") as stream:
            after = book.change()
            assert [one["version"] for one in stream.share()] == [after]


def test_an_invalid_reader_or_share_is_a_problem(server, book, tmp_path):
    with gateway(server.url, tmp_path) as served, served.client() as http:
        for query in ({"group": "desk"}, {"group": "desk", "reader": ""}):
            assert (
                refused(response_of(http, params=query), 422, "invalid_settings")["field"]
                == "reader"
            )
        for query in ({"reader": "one"}, {"group": "", "reader": "one"}):
            assert (
                refused(response_of(http, params=query), 422, "invalid_settings")["field"]
                == "group"
            )
        desk = {"group": "desk", "reader": "one", "since": "0"}
        answer = response_of(http, params=desk, headers={"Last-Event-ID": "7-0,"})
        assert refused(answer, 422, "invalid_settings")["field"] == "Last-Event-ID"

        book.change()
        _, last = share(served.url, "one")
        headers = {"Last-Event-ID": last}
        looked = http.head("/v1/breaches", params=desk, headers=headers)
        assert looked.headers["content-type"].startswith("text/event-stream")
        assert n_pending(server) == 1

        # Reported once: the next share continues with the remaining changes.
        book.change()
        server.client.xtrim(BREACHES_KEY, maxlen=1, approximate=False)
        refused(response_of(http, params=desk), 410, "changes_trimmed")
        assert len(share(served.url, "one")[0]) == 1
