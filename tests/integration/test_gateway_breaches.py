"""Changes of limit states over HTTP as server-sent events."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from risk_tasks import Limit, LimitSet, RiskClient
from risk_tasks.embedding import Fleet, FleetPlan, running_fleet
from risk_tasks.keys import BREACHES_KEY
from risk_tasks.model.live import LimitState
from risk_tasks.model.portfolio import Portfolio
from tests.integration.event_streams import event_stream
from tests.integration.gateways import bearer, gateway, refused, token_file
from tests.integration.live_worker import LiveWorker
from tests.integration.support import unique, wait_until
from tests.integration.test_gateway_nginx import nginx, port_of

pytestmark = pytest.mark.integration

LIMITS = LimitSet("live", [Limit("gross_exposure", hard=1_000_000.0, id="gross")])


@pytest.fixture(scope="module")
def live_fleet(market) -> Iterator[Fleet]:
    """A fleet of its own: the default limits apply to all live portfolios."""
    with running_fleet(FleetPlan(n_workers=1, scheduler=True)) as fleet:
        with RiskClient(fleet.url) as risk:
            risk.publish_market(market)
            risk.publish_limits(LIMITS)
        yield fleet


@pytest.fixture
def worker(server) -> LiveWorker:
    """A scripted worker on the server of this test."""
    return LiveWorker(server.client)


def response_of(http: httpx.Client, **options) -> httpx.Response:
    """Return a response that is not a stream, which would never end."""
    with http.stream("GET", "/v1/breaches", **options) as answer:
        assert answer.status_code != 200
        answer.read()
    described = http.get("/openapi.json").json()["paths"]["/v1/breaches"]["get"]
    assert str(answer.status_code) in described["responses"]
    return answer


def n_streams(url: str) -> int:
    text = httpx.get(f"{url}/metrics").text
    (line,) = [one for one in text.splitlines() if one.startswith("risk_tasks_http_streams ")]
    return int(float(line.split()[1]))


def test_a_breach_is_streamed_and_a_reader_resumes_after_its_last_id(live_fleet, tmp_path):
    """Through scheduler and worker; changes between two connections are not lost."""
    with gateway(live_fleet.url, tmp_path) as served, served.client() as http:
        path = f"/v1/portfolios/{unique('fund')}"
        http.put(path, json={"positions": {"AAPL": 1}})
        with event_stream(served.url) as stream:
            stream.start_id()
            broken = http.patch(path, json={"deltas": {"AAPL": 1e6}}).json()
            change = stream.next()
        assert (change["portfolio_id"], change["version"]) == (broken["id"], broken["version"])
        assert (change["before"], change["standing"]["state"]) == ("ok", "hard")
        assert change["standing"]["observed"] > change["standing"]["threshold"] == 1_000_000.0

        healed = http.patch(path, json={"deltas": {"AAPL": -1e6}}).json()["version"]
        with event_stream(served.url, last_id=stream.last_id, since="0") as again:
            change = again.next()
            assert (change["version"], change["before"]) == (healed, "hard")
            http.patch(path, json={"deltas": {"AAPL": 1e6}})
            assert again.next()["standing"]["state"] == "hard"
            http.delete(path)
            assert again.next()["standing"]["state"] == "none"


def test_a_reader_that_reconnects_before_the_first_event_misses_nothing(
    server, clients, worker, tmp_path
):
    """The stream starts with its id; each reader has its own place."""
    client = clients(server.url)
    with gateway(server.url, tmp_path) as served:
        with event_stream(served.url) as stream:
            place = stream.start_id()
        client.set_portfolio(Portfolio("p", {"A": 1.0}))
        worker.work(LimitState.WARN)
        with (
            event_stream(served.url, last_id=place) as late,
            event_stream(served.url, since="0") as first,
        ):
            assert late.next() == first.next()
            assert n_streams(served.url) == 2
        wait_until(lambda: n_streams(served.url) == 0, 10, "the streams to close")


def test_an_invalid_or_trimmed_position_is_a_problem(server, clients, worker, tmp_path):
    client = clients(server.url)
    client.set_portfolio(Portfolio("p", {"A": 1.0}))
    with gateway(server.url, tmp_path) as served, served.client() as http:
        for state in (LimitState.WARN, LimitState.HARD, LimitState.OK):
            client.change_positions("p", {"A": 1.0})
            worker.work(state)
        with event_stream(served.url, since="0") as stream:
            oldest = stream.next()["id"]
        server.client.xtrim(BREACHES_KEY, maxlen=1, approximate=False)

        headers = {"Last-Event-ID": oldest}
        refused(response_of(http, headers=headers), 410, "changes_trimmed")
        for since in ("soon", "", "-1", "1-", f"{1 << 64}"):
            answer = response_of(http, params={"since": since})
            assert refused(answer, 422, "invalid_settings")["field"] == "since"
        refused(response_of(http, params={"from": "0"}), 422, "bad_request")
        assert http.head("/v1/breaches").headers["content-type"].startswith("text/event-stream")
        assert n_streams(served.url) == 0


def test_the_stream_needs_the_role_read(server, tmp_path):
    tokens = {"RISK_TASKS_GATEWAY_TOKENS_FILE": str(token_file(tmp_path))}
    with gateway(server.url, tmp_path, tokens) as locked, locked.client() as http:
        refused(response_of(http), 401, "unauthorized")
        refused(response_of(http, headers=bearer("check")), 403, "forbidden")
        body, path = {"positions": {}}, "/v1/portfolios/p"
        refused(http.put(path, json=body, headers=bearer("check")), 403, "forbidden")
        assert http.put(path, json=body, headers=bearer("publish")).status_code == 200
        refused(http.get(path, headers=bearer("publish")), 403, "forbidden")
        assert http.get(path, headers=bearer("read")).status_code == 200


def test_a_stream_ends_when_its_gateway_stops(server, tmp_path):
    """Properly terminated, and before the timeout of other requests."""
    with gateway(server.url, tmp_path) as going, event_stream(going.url) as stream:
        stream.start_id()
        started = time.monotonic()
        assert going.stop() == 0
        with pytest.raises(StopIteration):
            stream.next()
        assert time.monotonic() - started < 20


def test_behind_nginx_changes_are_not_buffered_and_silence_does_not_end_a_stream(
    server, clients, worker, tmp_path
):
    """A heartbeat arrives before the read timeout of nginx."""
    client = clients(server.url)
    client.set_portfolio(Portfolio("p", {"A": 1.0}))
    with (
        gateway(server.url, tmp_path) as served,
        nginx(tmp_path, [port_of(served)]) as url,
        event_stream(url, since="0") as stream,
    ):
        stream.start_id()
        worker.work(LimitState.WARN)
        assert stream.next()["standing"]["state"] == "warn"
        time.sleep(16)
        client.change_positions("p", {"A": 1.0})
        worker.work(LimitState.HARD)
        assert stream.next()["standing"]["state"] == "hard"
        assert stream.comments == 1


def test_a_gateway_without_its_broker_opens_no_stream(tmp_path):
    """The status of the response reports it."""
    nowhere = "redis://127.0.0.1:1/0"
    with gateway(nowhere, tmp_path) as alone, alone.client() as http:
        for since in ("$", "0", "7-0"):
            answer = response_of(http, params={"since": since})
            refused(answer, 503, "transport")
