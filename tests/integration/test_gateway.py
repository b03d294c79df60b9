"""A gateway process with a real server and real workers, called over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import httpx
import pyarrow as pa
import pytest

from risk_tasks import Limit, LimitSet, MeasureSettings
from risk_tasks.http.application import OPERATIONS
from risk_tasks.http.arrow_streams import write_streams
from risk_tasks.http.checks import MANY_EXAMPLE, ONE_EXAMPLE
from risk_tasks.http.publishing import LIMITS_EXAMPLE, MARKET_EXAMPLE
from risk_tasks.keys import idempotency_key
from risk_tasks.readers import read_market
from risk_tasks.store.roles import RoleStore
from risk_tasks.wire.documents import portfolio_document, report_document
from tests.integration.gateways import (
    ARROW,
    JSON,
    RunningGateway,
    bearer,
    gateway,
    refused,
    token_file,
)
from tests.integration.support import unique, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def served(fleet, tmp_path_factory) -> Iterator[RunningGateway]:
    """A gateway of `fleet` without tokens."""
    folder = tmp_path_factory.mktemp("gateway")
    bounds = {"RISK_TASKS_GATEWAY_JSON_BYTES": "65536"}
    with gateway(fleet.url, folder, bounds) as running:
        yield running


@pytest.fixture
def http(served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def untimed(report: dict) -> dict:
    return {name: value for name, value in report.items() if name != "timings"}


def test_reports_equal_those_of_the_client_to_the_bit(http, risk, book):
    """One portfolio and many, with default options and with given ones."""
    limits = LimitSet("own", [Limit("value_at_risk", hard=1.0), Limit("gross_leverage", warn=0.5)])
    options = {
        "limits": limits,
        "measures": ["value_at_risk@0.95", "volatility"],
        "settings": MeasureSettings(confidence="0.975"),
        "explain": True,
    }
    document = {
        "limits": {"id": "own", "limits": [{"measure": "value_at_risk", "hard": 1.0},
                                           {"measure": "gross_leverage", "warn": 0.5}]},
        "measures": ["value_at_risk@0.95", "volatility"],
        "settings": {"confidence": "0.975"},
        "explain": True,
    }  # fmt: skip
    documents = [portfolio_document(one) for one in book]

    def found(**body):
        answer = http.post("/v1/checks", json=body)
        assert answer.status_code == 200, answer.text
        return [untimed(one) for one in answer.json()["reports"]]

    def expected(portfolios, **options):
        reports = risk.check_many(portfolios, **options)
        return [
            untimed(json.loads(json.dumps(report_document(one), default=str))) for one in reports
        ]

    def same(left, right):
        # Two encoders format the time differently.
        for one in (*left, *right):
            one.pop("as_of")
        assert left == right

    same(found(portfolios=documents), expected(book))
    same(found(portfolios=documents[:1], **document), expected(book[:1], **options))
    same(found(portfolios=documents, **document), expected(book, **options))


def test_a_portfolio_that_cannot_be_computed_gets_a_report(http):
    """Alone or among others, which are computed; the report rejects and the status is 200."""
    odd, good = {"id": "odd", "positions": {"GOLD": 1}}, {"id": "good", "positions": {"AAPL": 1}}

    for portfolios in ([odd], [good, odd]):
        answer = http.post("/v1/checks", json={"portfolios": portfolios})
        report = answer.json()["reports"][-1]
        assert answer.status_code == 200
        assert (report["status"], report["decision"]) == ("error", "reject")
        assert (report["code"], report["field"]) == ("unknown_instrument", "positions['GOLD']")


BAD_BODIES = {
    "no JSON": (b"{", 400, "invalid_json", None),
    "not UTF-8": (b'{"market": "\xff"}', 400, "invalid_json", None),
    "too deep": (b'{"portfolios": ' + b"[" * 20_000, 422, "invalid_portfolio", "portfolios[...]"),
    "no portfolios": (b"{}", 422, "bad_request", None),
    "none of them": (b'{"portfolios": []}', 422, "invalid_portfolio", "portfolios"),
    "a list": (b"[]", 422, "bad_request", None),
    "unknown field": (b'{"x": 1}', 422, "bad_request", None),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_BODIES)
def test_an_invalid_body_is_a_problem(what, http):
    body, status, code, _ = BAD_BODIES[what]

    problem = refused(
        http.post("/v1/checks", content=body, headers={"Content-Type": JSON}), status, code
    )

    assert problem["remedy"]


BAD_OPTIONS = {
    "quantity": ({"portfolios": [{"id": "p", "positions": {"AAPL": "1"}}]}, "invalid_portfolio"),
    "nav": ({"portfolios": [{"id": "p", "positions": {}, "nav": True}]}, "invalid_portfolio"),
    "name": ({"portfolios": [{"id": "", "positions": {}}]}, "invalid_portfolio"),
    "measure": ({"measures": ["luck"]}, "unknown_measure"),
    "settings": ({"settings": {"confidence": "2"}}, "invalid_settings"),
    "limit": ({"limits": {"id": "x", "limits": [{"measure": "volatility"}]}}, "invalid_limit"),
    "limit set": ({"limits": "nowhere"}, "unknown_limit_set"),
    "lane": ({"priority": "soon"}, "bad_request"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_OPTIONS)
def test_invalid_options_are_problems_with_the_code_of_the_library(what, http):
    options, code = BAD_OPTIONS[what]

    problem = refused(http.post("/v1/checks", json={**ONE_EXAMPLE, **options}), 422, code)

    assert problem["field"]


def test_a_body_without_type_or_compressed_or_too_large_is_refused(http):
    """A large one by its declared length, or as soon as it exceeds the bound."""
    body = json.dumps(ONE_EXAMPLE).encode()
    as_json = {"Content-Type": JSON}

    refused(http.post("/v1/checks", content=body), 415, "unsupported_media_type")
    refused(http.post("/v1/checks", content=body, headers={**as_json, "Content-Encoding": "gzip"}),
            415, "unsupported_media_type")  # fmt: skip
    refused(http.post("/v1/checks", content=b" " * 65_537, headers=as_json), 413, "too_large")
    pieces = (b" " * 8_192 for _ in range(9))
    refused(http.post("/v1/checks", content=pieces, headers=as_json), 413, "too_large")
    exactly = body + b" " * (65_536 - len(body))
    assert http.post("/v1/checks", content=exactly, headers=as_json).status_code == 200


def test_query_parameters_beside_a_json_body_are_refused(http):
    """A limit set that is silently ignored could accept too much."""
    answer = http.post("/v1/checks?limits=strict", json=ONE_EXAMPLE)

    refused(answer, 422, "bad_request")


def test_a_request_sets_its_timeout(http, server, tmp_path):
    """After it the response is 504 with the id of the check; this server has no workers."""
    with gateway(server.url, tmp_path) as alone, alone.client() as client:
        for headers in ({"X-Timeout-Ms": "1500"}, {"Prefer": "wait=2"}):
            started = time.monotonic()
            problem = refused(
                client.post("/v1/checks", json=ONE_EXAMPLE, headers=headers), 504, "timeout"
            )
            assert time.monotonic() - started < 10
            assert problem["check_id"]
    for text in ("0", "-1", "soon", "60001", "1e3"):
        answer = http.post("/v1/checks", json=ONE_EXAMPLE, headers={"X-Timeout-Ms": text})
        assert refused(answer, 422, "invalid_settings")["field"] == "X-Timeout-Ms"


def test_an_asynchronous_request_gets_the_location_of_its_reports(http, book):
    """The location responds with 202 until the reports exist; an unknown one with 404."""
    body = {"portfolios": [portfolio_document(one) for one in book]}
    sent = http.post("/v1/checks", json=body, headers={"Prefer": "respond-async"})

    assert sent.status_code == 202
    assert sent.headers["preference-applied"] == "respond-async"
    assert sent.json()["location"] == sent.headers["location"]
    there = http.get(sent.headers["location"], headers={"Prefer": "wait=20"})
    assert there.status_code == 200
    assert [one["portfolio_id"] for one in there.json()["reports"]] == [one.id for one in book]
    assert http.get(sent.headers["location"]).json() == there.json()
    base = sent.json()["check_id"].rpartition(".")[0]
    for unknown in ("x", "0" * 32 + ".1.1", f"{base}.99999", f"{base}.999999"):
        refused(http.get(f"/v1/checks/{unknown}"), 404, "unknown_check")


def test_a_pending_answer_is_202(server, tmp_path):
    """This server has no workers."""
    with gateway(server.url, tmp_path) as alone, alone.client() as client:
        prefer = {"Prefer": "respond-async"}
        sent = client.post("/v1/checks", json=ONE_EXAMPLE, headers=prefer)
        again = client.get(sent.headers["location"])

        assert (sent.status_code, again.status_code) == (202, 202)
        assert int(again.headers["retry-after"]) >= 1


def test_a_repeated_request_gets_the_first_response(http, fleet_server):
    """Equal to the byte, timings too. A different request under the key is refused."""
    key = {"Idempotency-Key": unique("key")}
    first, second = (http.post("/v1/checks", json=ONE_EXAMPLE, headers=key) for _ in "12")

    assert second.content == first.content
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    refused(http.post("/v1/checks", json=MANY_EXAMPLE, headers=key), 422, "key_reused")
    refused(http.post("/v1/checks", json=ONE_EXAMPLE, headers={"Idempotency-Key": "a b"}),
            422, "invalid_key")  # fmt: skip
    lives_s = [fleet_server.client.ttl(key) for key in
               fleet_server.client.scan_iter(idempotency_key("*"), count=1_000)]  # fmt: skip
    assert lives_s
    assert all(0 < ttl <= 900 for ttl in lives_s)


def test_a_refusal_is_stored_under_its_key_and_a_failure_is_not(server, tmp_path):
    """A retry could turn a failure into a success."""
    with gateway(server.url, tmp_path) as alone, alone.client() as client:
        bad = {**ONE_EXAMPLE, "measures": ["luck"]}
        key = {"Idempotency-Key": "refused"}
        answers = [client.post("/v1/checks", json=bad, headers=key) for _ in "12"]
        assert answers[1].headers["idempotency-replayed"] == "true"
        assert {one.status_code for one in answers} == {422}

        key = {"Idempotency-Key": "late", "X-Timeout-Ms": "50"}
        late = [client.post("/v1/checks", json=ONE_EXAMPLE, headers=key) for _ in "12"]
        assert {one.status_code for one in late} == {504}
        assert not any("idempotency-replayed" in one.headers for one in late)


def test_a_repeated_request_is_refused_while_the_first_is_in_progress(server, tmp_path):
    """With 409, once the gateway of the first one has renewed its claim."""
    with gateway(server.url, tmp_path) as alone, alone.client() as client:
        key = {"Idempotency-Key": "twin", "X-Timeout-Ms": "6000"}
        first = threading.Thread(
            target=lambda: client.post("/v1/checks", json=ONE_EXAMPLE, headers=key)
        )
        first.start()
        wait_until(lambda: list(server.client.scan_iter(idempotency_key("*"))), 10, "the claim")
        with alone.client() as other:
            answer = other.post("/v1/checks", json=ONE_EXAMPLE, headers=key)
        assert int(refused(answer, 409, "in_progress") and answer.headers["retry-after"]) >= 1
        first.join()


def test_a_repeated_request_takes_over_from_a_dead_gateway(server, tmp_path):
    """The claim of the dead gateway expires, and the second gateway computes the response."""
    key = {"Idempotency-Key": "orphan"}
    with (
        gateway(server.url, tmp_path) as doomed,
        gateway(server.url, tmp_path) as other,
        ThreadPoolExecutor(1) as caller,
        doomed.client() as client,
        other.client() as second,
    ):
        pending = caller.submit(client.post, "/v1/checks", json=ONE_EXAMPLE, headers=key)
        wait_until(lambda: list(server.client.scan_iter(idempotency_key("*"))), 10, "the claim")
        doomed.process.kill()
        with pytest.raises(httpx.TransportError):
            pending.result()
        # Immediately, as a proxy does: the claim has not expired.
        soon = {**key, "X-Timeout-Ms": "100"}
        answer = second.post("/v1/checks", json=ONE_EXAMPLE, headers=soon)

    refused(answer, 504, "timeout")


def test_limits_on_instruments_are_refused_and_odd_ones_warned_of(http):
    """By their field; a tag in the query is one of portfolios."""
    document = {
        "id": "odd",
        "limits": [{"measure": "gross_exposure", "hard": 0, "applies_to": {"instrument": "AAPL"}}],
    }
    path = f"/v1/limits/{unique('odd')}"

    refused = http.put(path, json=document)
    published = http.put(f"{path}?tags=region,instrument", json=document)
    impossible = http.put(
        path, json={"id": "odd", "limits": [{"measure": "concentration", "hard": 10}]}
    )

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_limit")
    assert refused.json()["field"] == "limits[0].applies_to['instrument']"
    assert published.status_code == 200
    assert [one["kind"] for one in published.json()["warnings"]] == ["always_fires"]
    assert (impossible.status_code, impossible.json()["field"]) == (422, "limits[0].hard")


def test_a_check_without_a_matching_limit_reads_none(http):
    """By its decision and by the number of limits applied; a set may reject it."""
    limits = {
        "id": "scoped",
        "limits": [{"measure": "gross_exposure", "hard": 1e12, "applies_to": {"desk": "EQUITIES"}}],
    }

    def decided(**change):
        body = {**ONE_EXAMPLE, "limits": {**limits, **change}}
        report = http.post("/v1/checks", json=body).json()["reports"][0]
        reasons = [one["reason"] for one in report["not_evaluated"]]
        return report["decision"], report["limits_applied"], reasons

    everywhere = [{**limits["limits"][0], "applies_to": {}}]
    assert decided() == ("none", 0, [])
    assert decided(unmatched="reject") == ("reject", 0, ["no_limit_applied"])
    assert decided(limits=everywhere) == ("accept", 1, [])


def test_prices_that_look_wrong_are_refused_if_the_request_is_strict(http, risk):
    name = unique("m")

    refused = http.put(f"/v1/markets/{name}?strict=true", json=MARKET_EXAMPLE)
    unclear = http.put(f"/v1/markets/{name}?strict=yes", json=MARKET_EXAMPLE)

    assert (refused.status_code, refused.json()["code"]) == (422, "doubtful_market")
    assert "gap:XOM" in refused.json()["detail"]
    assert (unclear.status_code, unclear.json()["field"]) == (422, "strict")
    assert risk.load_market(name) is None


def test_published_markets_and_limits_apply_to_later_checks(http, risk):
    """A repeated PUT changes nothing; the ids equal those of the library."""
    name = unique("m")
    put = [http.put(f"/v1/markets/{name}", json=MARKET_EXAMPLE).json() for _ in "12"]
    limits = [http.put(f"/v1/limits/{name}", json=LIMITS_EXAMPLE).json() for _ in "12"]

    (gap,) = put[0].pop("findings")
    assert (gap["kind"], gap["instrument"]) == ("gap", "XOM")
    assert put[1].pop("findings") == [gap]
    assert put[0] == put[1] == {"name": name, "id": risk.load_market(name).id}
    assert limits[0] == limits[1]
    body = {**ONE_EXAMPLE, "market": name, "limits": name, "measures": ["stress_loss:crash"]}
    (report,) = http.post("/v1/checks", json=body).json()["reports"]
    assert report["market_id"] == put[0]["id"]
    assert report["limits_version"] == limits[0]["version"]
    expected = 20_000 * 181.71 * 0.25 - 9_000 * 116.75 * 0.1
    assert report["measures"]["stress_loss:crash"]["value"] == pytest.approx(expected)


READ_OPTIONS = {"window_days": 2, "align": "drop", "max_gap_days": 5, "frequency": "weekly"}


@pytest.mark.parametrize(
    "changed", [{name: value} for name, value in READ_OPTIONS.items()], ids=str
)
def test_options_of_reading_have_the_effect_that_they_have_in_python(changed, http):
    """As fields of a JSON body and as parameters beside an Arrow body."""
    weekly = changed.get("frequency") == "weekly"
    dates = [date(2024, 1, 5) + timedelta(7 * row if weekly else row) for row in range(5)]
    if "max_gap_days" in changed:
        dates[-1] += timedelta(6)
    prices = {"A": [10.0, 11.0, 12.0, 11.0, 12.0], "B": [5.0, None, 6.0, 7.0, 6.0]}
    table = pa.table({"date": dates, **prices})
    path = f"/v1/markets/{unique('m')}"

    body = {"dates": [one.isoformat() for one in dates], "prices": prices, **changed}
    of_json = http.put(path, json=body)
    arrow = {"content": write_streams([table]), "headers": {"Content-Type": ARROW}}
    of_arrow = http.put(path, params=changed, **arrow)
    without = http.put(path, **arrow)

    expected = read_market(table, **changed).id
    assert of_json.json()["id"] == of_arrow.json()["id"] == expected
    assert without.json().get("id") != expected


@pytest.mark.parametrize("name", READ_OPTIONS)
def test_an_invalid_option_of_reading_is_refused_by_its_name(name, http):
    """Also one in the query beside a JSON body, which would change nothing."""
    path = "/v1/markets/bad"
    table = pa.table({"date": MARKET_EXAMPLE["dates"], "A": [1.0, 2.0, 3.0, 4.0]})
    arrow = {"content": write_streams([table]), "headers": {"Content-Type": ARROW}}
    for answer in (
        http.put(path, json={**MARKET_EXAMPLE, name: 0}),
        http.put(path, params={name: "0"}, **arrow),
        http.put(path, params={name: "-1e3"}, **arrow),
    ):
        assert refused(answer, 422, "invalid_market")["field"] == name
    answer = http.put(path, params={name: READ_OPTIONS[name]}, json=MARKET_EXAMPLE)
    assert refused(answer, 422, "invalid_settings")["field"] == name


BAD_MARKETS = {
    "lengths": ({"dates": ["2024-01-01"], "prices": {"A": [1.0, 2.0]}}, "prices['A']"),
    "no prices": ({"dates": ["2024-01-01"], "prices": {}}, None),
    "a price of nothing": ({"dates": ["2024-01-01", "2024-01-02"], "prices": {"A": [1, 0]}}, None),
    "its own column": ({"dates": ["2024-01-01"], "prices": {"date": [1]}}, "prices['date']"),
    "an invalid date": ({"dates": ["2024-02-30"], "prices": {"A": [1]}}, None),
    "scenario": ({**MARKET_EXAMPLE, "scenarios": {"x": {"luck": 1}}}, "scenarios['x']"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_MARKETS)
def test_an_invalid_market_is_refused(what, http):
    body, field = BAD_MARKETS[what]

    problem = refused(http.put("/v1/markets/bad", json=body), 422, "invalid_market")

    assert field is None or problem["field"] == field


def test_invalid_names_in_paths_are_refused(http):
    for name in ("a b", ".hidden", "x" * 101, "é"):
        answer = http.put(f"/v1/limits/{name}", json=LIMITS_EXAMPLE)
        assert refused(answer, 422, "invalid_settings")["field"] == "name"


def test_unknown_paths_and_methods_are_problems(http):
    refused(http.get("/v2/checks"), 404, "not_found")
    answer = http.delete("/v1/checks")
    refused(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]


def test_concurrent_checks_share_blocks(served):
    """Reports of one block have equal timings."""

    async def main():
        limits = httpx.Limits(max_connections=100)
        async with httpx.AsyncClient(base_url=served.url, timeout=30, limits=limits) as client:
            body = {"portfolios": [{"id": "p", "positions": {"AAPL": 1}}]}
            answers = await asyncio.gather(
                *(client.post("/v1/checks", json=body) for _ in range(300))
            )
            return [json.dumps(one.json()["reports"][0]["timings"]) for one in answers]

    n_blocks = len(set(asyncio.run(main())))
    assert n_blocks < 300


def test_a_token_needs_the_role_of_the_operation(fleet, tmp_path):
    """401 without a known token, 403 without the role; probes and OpenAPI document are public."""
    path = token_file(tmp_path)
    with gateway(fleet.url, tmp_path, {"RISK_TASKS_GATEWAY_TOKENS_FILE": str(path)}) as locked:
        with locked.client() as client:
            for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": "Basic x"}):
                answer = client.post("/v1/checks", json=ONE_EXAMPLE, headers=headers)
                refused(answer, 401, "unauthorized")
                assert answer.headers["www-authenticate"] == "Bearer"
            sent = {
                "check": ("POST", "/v1/checks", ONE_EXAMPLE),
                "publish": ("PUT", "/v1/limits/t", LIMITS_EXAMPLE),
                "operate": ("GET", "/metrics", None),
                "read": ("GET", "/v1/checks/x", None),
            }
            statuses = {
                role: client.request(method, path, json=body, headers=bearer(role)).status_code
                for role, (method, path, body) in sent.items()
            }
            assert statuses == {"check": 200, "publish": 200, "operate": 200, "read": 404}
            wrong = client.post("/v1/checks", json=ONE_EXAMPLE, headers=bearer("publish"))
            refused(wrong, 403, "forbidden")
            for path in ("/livez", "/readyz", "/openapi.json"):
                assert client.get(path).status_code == 200
            key = {"Idempotency-Key": "mine"}
            for role in ("check", "publish"):
                client.post("/v1/checks", json=ONE_EXAMPLE, headers={**bearer(role), **key})
        assert "secret-of" not in locked.log.read_text()


def test_a_public_gateway_does_not_start_without_tokens(call, tmp_path):
    """Nor with an empty or invalid token file; the error names the setting."""
    done = call("gateway", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 1
    assert "RISK_TASKS_GATEWAY_TOKENS_FILE" in done.stderr
    for text in ("", "[[tokens]]\nname = 'x'", "nonsense ="):
        done = call("gateway", "--port", "0", RISK_TASKS_GATEWAY_TOKENS=text)
        assert done.returncode == 1
        assert "RISK_TASKS_GATEWAY_TOKENS" in done.stderr


def test_a_port_in_use_is_an_error_that_names_the_setting(call, served):
    port = served.url.rpartition(":")[2]

    done = call("gateway", "--port", port)

    assert done.returncode == 1
    assert "RISK_TASKS_GATEWAY_PORT" in done.stderr


def test_a_gateway_without_its_broker_is_live_and_not_ready(server, tmp_path):
    """Probe and check respond with 503 and Retry-After."""
    nowhere = "redis://127.0.0.1:1/0"
    with gateway(server.url, tmp_path) as there, there.client() as client:
        assert client.get("/readyz").status_code == 200
        assert RoleStore(server.client).running()[0].role == "gateway"
    arguments = {"RISK_TASKS_BROKER_URL": nowhere}
    with gateway(nowhere, tmp_path, arguments) as alone, alone.client() as client:
        assert client.get("/livez").json() == {"status": "live"}
        for answer in (client.get("/readyz"), client.post("/v1/checks", json=ONE_EXAMPLE)):
            refused(answer, 503, "transport")
            assert int(answer.headers["retry-after"]) >= 1


def test_sigterm_finishes_requests_and_exits_with_0(server, tmp_path):
    """A request that waits during the stop gets its response."""
    with gateway(server.url, tmp_path) as going:
        found: list[httpx.Response] = []

        def ask() -> None:
            with going.client() as client:
                headers = {"X-Timeout-Ms": "4000"}
                found.append(client.post("/v1/checks", json=ONE_EXAMPLE, headers=headers))

        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: server.client.exists("risk:ledger"), 10, "a waiting check")
        assert going.stop() == 0
        asking.join()

        refused(found[0], 504, "timeout")
        assert [one["event"] for one in going.events()][-3:] == [
            "gateway.draining",
            "gateway.problem",
            "gateway.stopped",
        ]
    assert RoleStore(server.client).running() == []


def test_metrics_are_exposed_by_route(http):
    """By the pattern of the route, never by the values in it."""
    http.post("/v1/checks", json=ONE_EXAMPLE)
    http.get("/v1/checks/some-id")
    text = http.get("/metrics").text

    assert 'risk_tasks_http_requests_total{method="POST",route="/v1/checks",status="200"}' in text
    assert "some-id" not in text


def test_each_example_of_the_document_succeeds(http):
    """On the default market."""
    document = http.get("/openapi.json").json()
    sent, name = 0, unique("example")
    for operation in OPERATIONS:
        described = document["paths"][operation.path][operation.method.lower()]
        for content in described.get("requestBody", {}).get("content", {}).values():
            for example in content.get("examples", {}).values():
                path = re.sub("{.*}", name, operation.path)
                value = example["value"]
                value = {**value, "market": None} if "market" in value else value
                answer = http.request(operation.method, path, json=value)
                assert answer.status_code == 200, answer.text
                sent += 1
    assert sent >= 6


@pytest.mark.parametrize(
    "body",
    [
        b'{"portfolios": [{"id": "a", "positions": {"AAPL": 1e6, "AAPL": 1}}]}',
        b'{"portfolios": [{"id": "a", "nav": 1, "nav": 1e9, "positions": {"AAPL": 1}}]}',
        b'{"limits": "strict", "limits": "loose", "portfolios": [{"id": "a", "positions": {}}]}',
    ],
)
def test_a_name_that_appears_twice_in_an_object_is_refused(http, body):
    """JSON decoders keep the last of the two: a million shares would be checked as one."""
    answer = http.post("/v1/checks", content=body, headers={"Content-Type": JSON})

    assert "twice" in refused(answer, 422, "bad_request")["detail"]


def test_query_parameters_that_an_operation_does_not_have_are_refused(http):
    """`window` for `window_days` would publish the whole history; of two limit sets one is lost."""
    markets, limits = "/v1/markets/query", "/v1/limits/query"
    for send, path in [
        (http.put, f"{markets}?window=250"),
        (http.put, f"{markets}?window_days=5&window_days=9"),
        (http.put, f"{limits}?tag=desk"),
        (http.post, "/v1/checks?limits=strict&limits=loose"),
    ]:
        refused(send(path, json=MARKET_EXAMPLE), 422, "invalid_settings")
