"""Live portfolios over HTTP: set, changed, reported, removed; with scheduler and worker."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pyarrow as pa
import pytest

from risk_tasks.http.arrow_streams import write_streams
from tests.integration.gateways import ARROW, JSON, RunningGateway, gateway, refused
from tests.integration.support import unique, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def served(fleet, tmp_path_factory) -> Iterator[RunningGateway]:
    with gateway(fleet.url, tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture
def http(served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.fixture
def held(http) -> str:
    """The id of a live portfolio at version 1; the path must quote it."""
    name = unique("book é?&#")
    assert (
        id_and_version(http.put(path_of(name), json={"positions": {"AAPL": 0.1}, "cash": 5}))[1]
        == 1
    )
    return name


def path_of(name: str) -> str:
    return f"/v1/portfolios/{httpx.QueryParams({'_': name})}".replace("_=", "").replace("+", "%20")


def id_and_version(answer: httpx.Response) -> tuple[str, int]:
    assert answer.status_code == 200, answer.text
    return answer.json()["id"], answer.json()["version"]


def test_a_portfolio_is_set_changed_once_under_its_key_and_removed(http, held, risk):
    """To the bit, and equal to the library."""
    path, key = path_of(held), {"Idempotency-Key": unique("fill")}
    deltas = {"deltas": {"AAPL": 0.2, "XOM": -1}}

    changed = [id_and_version(http.patch(path, json=deltas, headers=key)) for _ in "12"]

    assert changed == [(held, 2), (held, 2)]
    assert http.get(path).json() == {
        "id": held,
        "positions": {"AAPL": 0.1 + 0.2, "XOM": -1.0},
        "cash": 5.0,
        "nav": None,
        "tags": {},
        "version": 2,
    }
    assert risk.get_portfolio(held).positions == {"AAPL": 0.1 + 0.2, "XOM": -1.0}
    put = {"id": held, "positions": {"XOM": 7}, "nav": 9, "tags": {"desk": "us"}}
    key = {"Idempotency-Key": unique("set")}
    assert [id_and_version(http.put(path, json=put, headers=key)) for _ in "12"] == [
        (held, 3),
        (held, 3),
    ]
    assert http.get(path).json() == {**put, "cash": None, "version": 3}
    assert id_and_version(http.delete(path)) == (held, 3)
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", deltas)):
        refused(http.request(method, path, json=body), 404, "unknown_portfolio")


def test_the_latest_report_has_its_version(http, held, risk):
    path = path_of(held)
    id_and_version(http.patch(path, json={"deltas": {"AAPL": 3}}))

    def of_2() -> dict | None:
        answer = http.get(f"{path}/report")
        assert answer.status_code == 200 or refused(answer, 404, "no_report")
        found = answer.json()
        return found if found.get("version") == 2 else None

    latest = wait_until(of_2, 30, "a report of the second version")
    assert latest["current_version"] == 2
    assert 0 <= latest["age_s"] < 60
    assert latest["report"]["portfolio_id"] == held
    expected = risk.check(held).measures["value_at_risk"].value
    assert latest["report"]["measures"]["value_at_risk"]["value"] == expected


def test_a_missing_report_is_not_a_success(server, tmp_path):
    """This server has no workers."""
    with gateway(server.url, tmp_path) as alone, alone.client() as client:
        id_and_version(client.put("/v1/portfolios/p", json={"positions": {}}))
        answer = client.get("/v1/portfolios/p/report")

        refused(answer, 404, "no_report")
        assert answer.headers["retry-after"] == "1"
        refused(client.get("/v1/portfolios/q/report"), 404, "unknown_portfolio")


BAD = {
    "another id": ("PUT", {"id": "x", "positions": {}}, "invalid_portfolio", "id"),
    "no positions": ("PUT", {}, "invalid_portfolio", None),
    "a quantity": ("PUT", {"positions": {"A": "1"}}, "invalid_portfolio", "positions[...]"),
    "a tag": ("PUT", {"positions": {}, "tags": {"a": 1}}, "invalid_portfolio", "tags[...]"),
    "no name": ("PUT", {"positions": {"": 1}}, "invalid_portfolio", "positions['']"),
    "more": ("PUT", {"positions": {}, "version": 3}, "invalid_portfolio", None),
    "no deltas": ("PATCH", {"deltas": {}}, "invalid_portfolio", "deltas"),
    "a delta": ("PATCH", {"deltas": {"A": None}}, "invalid_portfolio", "deltas[...]"),
    "beyond float64": ("PATCH", {"deltas": {"BIG": 1.7e308}}, "invalid_portfolio", "deltas['BIG']"),
}


@pytest.mark.parametrize("what", BAD)
def test_an_invalid_change_names_the_field_and_changes_nothing(what, http, held):
    method, body, code, field = BAD[what]
    path = path_of(held)
    id_and_version(http.patch(path, json={"deltas": {"BIG": 1.7e308}}))

    problem = refused(http.request(method, path, json=body), 422, code)

    assert problem.get("field") == field
    assert http.get(path).json()["version"] == 2


def test_malformed_requests_are_refused(http, held):
    path = path_of(held)
    refused(http.patch(path, content=b"{}"), 415, "unsupported_media_type")
    refused(http.put(path, content=b"{", headers={"Content-Type": JSON}), 400, "invalid_json")
    key = {"Idempotency-Key": "a b"}
    refused(http.patch(path, json={"deltas": {"A": 1}}, headers=key), 422, "invalid_key")
    refused(http.put("/v1/portfolios/a%2Fb", json={"positions": {}}), 404, "not_found")
    answer = http.post(path, json={})
    refused(answer, 405, "method_not_allowed")
    allowed = {one.strip() for one in answer.headers["allow"].split(",")}
    assert allowed >= {"GET", "PUT", "PATCH", "DELETE"}


def test_live_portfolios_are_checked_by_their_id(http, held, risk):
    """Beside others; an unknown or stale one is rejected."""
    other = {"id": "other", "positions": {"XOM": 1}}

    def found(*portfolios, **terms) -> list[tuple]:
        answer = http.post("/v1/checks", json={"portfolios": portfolios, **terms})
        assert answer.status_code == 200, answer.text
        return [
            (one["portfolio_id"], one["status"], one.get("code"))
            for one in answer.json()["reports"]
        ]

    missing = unique("unknown")
    unknown, fine = (missing, "error", "unknown_portfolio"), ("other", "ok", None)
    assert found(held, min_version=1) == [(held, "ok", None)]
    assert found(missing) == [unknown]
    assert found(other, missing, held) == [fine, unknown, (held, "ok", None)]
    assert found(held, min_version=2) == [(held, "error", "stale_version")]
    answer = http.post("/v1/checks", json={"portfolios": [other], "min_version": 1})
    assert refused(answer, 422, "invalid_settings")["field"] == "min_version"


def test_live_portfolios_are_checked_asynchronously(http, held):
    """One unknown portfolio refuses the whole request."""
    prefer = {"Prefer": "respond-async"}

    def sent(**body) -> httpx.Response:
        return http.post("/v1/checks", json=body, headers=prefer)

    there = http.get(sent(portfolios=[held]).headers["location"], headers={"Prefer": "wait=20"})
    assert there.json()["reports"][0]["portfolio_id"] == held
    refused(sent(portfolios=[held, unique("unknown")]), 404, "unknown_portfolio")
    stale = sent(portfolios=[held], min_version=2)
    refused(stale, 409, "stale_version")
    assert stale.headers["retry-after"] == "1"


def post_arrow(http: httpx.Client, *tables: pa.Table, **query: object) -> httpx.Response:
    return http.post(
        "/v1/checks",
        content=write_streams(tables),
        params=query,
        headers={"Content-Type": ARROW},
    )


def tables_of(answer: httpx.Response, n: int) -> list[pa.Table]:
    assert answer.status_code == 200, answer.text
    source = pa.BufferReader(answer.content)
    return [pa.ipc.open_stream(source).read_all() for _ in range(n)]


def test_live_portfolios_are_checked_by_a_table_of_their_ids(http, held, risk):
    """One row each, numbers equal to the client; an unknown or stale one is rejected."""
    missing = unique("unknown")
    ids = pa.table({"portfolio_id": pa.array([missing, held, missing]).dictionary_encode()})

    answer = post_arrow(http, ids, measures="volatility", min_version=1, breaches="true")

    found, breaches = tables_of(answer, 2)
    assert found["portfolio_id"].to_pylist() == [missing, held]
    assert found["code"].to_pylist() == ["unknown_portfolio", None]
    assert found["decision"].to_pylist()[0] == "reject"
    expected = risk.check(held, measures=["volatility"]).measures["volatility"].value
    assert found["volatility"].to_pylist() == [None, expected]
    assert len(breaches) == sum(found["breach_count"].to_pylist())
    (stale,) = tables_of(post_arrow(http, ids[1:2], min_version=2), 1)
    assert stale["code"].to_pylist() == ["stale_version"]


def test_an_invalid_table_of_ids_is_a_problem(http, held):
    ids = pa.table({"portfolio_id": [held]})
    for version in ("0", "-1", "1.5", "new", "", "9" * 20):
        answer = post_arrow(http, ids, min_version=version)
        assert refused(answer, 422, "invalid_settings")["field"] == "min_version"
    positions = pa.table({"portfolio_id": ["a"], "instrument": ["AAPL"], "quantity": [1.0]})
    answer = post_arrow(http, positions, min_version=1)
    assert refused(answer, 422, "invalid_settings")["field"] == "min_version"
    answer = post_arrow(http, ids, pa.table({"portfolio_id": [held], "nav": [1.0]}))
    assert refused(answer, 422, "invalid_table")["field"] == "portfolios"
    for name in ("", None):
        answer = post_arrow(http, pa.table({"portfolio_id": pa.array([name], pa.string())}))
        assert refused(answer, 422, "invalid_table")["field"] == "positions.portfolio_id"


def test_a_critical_event_checks_live_portfolios_at_once(http, held):
    key = {"Idempotency-Key": unique("event")}
    body = {"event": "exchange halt", "portfolio_ids": [held, "nobody"]}

    answers = [http.post("/v1/critical-events", json=body, headers=key) for _ in "12"]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json() for answer in answers] == [
        {"n_portfolios": 1, "unknown_ids": ["nobody"]}
    ] * 2

    def reason() -> str | None:
        latest = http.get(f"{path_of(held)}/report")
        return latest.json()["reason"] if latest.status_code == 200 else None

    assert wait_until(reason, 20) == "exchange halt"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, None),
        ({"event": ""}, "event"),
        ({"event": "x" * 257}, "event"),
        ({"event": "halt", "portfolio_ids": []}, "portfolio_ids"),
        ({"event": "halt", "portfolio_ids": "p"}, "portfolio_ids"),
        ({"event": "halt", "ids": ["p"]}, None),
    ],
)
def test_a_malformed_critical_event_is_refused(http, body, field):
    answer = http.post("/v1/critical-events", json=body)

    assert answer.status_code == 422
    assert answer.json().get("field") == field
