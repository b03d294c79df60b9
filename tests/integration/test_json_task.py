"""The JSON task, for any service that has Celery and not this library."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date
from typing import Any

import pytest
from celery import Celery, group
from celery.result import allow_join_result

import risk_tasks
from risk_tasks import Limit, LimitSet, MeasureSettings, Portfolio
from risk_tasks.errors import RefusedMessageError, RiskTasksError
from tests.integration.support import environment, unique

pytestmark = pytest.mark.integration

TIMEOUT_S = 20


@pytest.fixture(scope="module")
def app(fleet) -> Iterator[Celery]:
    """An app as another service makes it: two URLs and no other settings."""
    app = Celery(broker=fleet.url, backend=fleet.url, set_as_current=False)
    yield app
    app.backend.result_consumer.stop()
    app.backend.client.close()
    app.backend.client.connection_pool.disconnect()
    app.close()


@pytest.fixture
def ask(app) -> Callable[..., dict[str, Any]]:
    """Sends one check and returns its result, which is JSON."""

    def send(queue: str = "risk.normal", args=None, **kwargs: Any) -> dict[str, Any]:
        result = app.send_task("risk.check", args=args, kwargs=kwargs, queue=queue)
        document = result.get(timeout=TIMEOUT_S)
        result.forget()
        assert result.task_id
        json.dumps(document, allow_nan=False)
        return document

    return send


def as_document(report: risk_tasks.RiskReport) -> dict[str, Any]:
    """Return the part of a report that must equal that of the client to the bit."""
    return json.loads(
        json.dumps(
            {
                "portfolio_id": report.portfolio_id,
                "market_id": report.market_id,
                "limits_version": report.limits_version,
                "as_of": report.as_of.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "status": report.status,
                "decision": report.decision,
                "measures": {name: asdict(one) for name, one in report.measures.items()},
                "breaches": [asdict(breach) for breach in report.breaches],
                "not_evaluated": [asdict(gap) for gap in report.not_evaluated],
                "input_hash": report.input_hash,
                "limits_applied": report.limits_applied,
                "data_quality": [asdict(one) for one in report.data_quality],
            },
            default=date.isoformat,
        )
    )


def test_the_json_task_and_the_client_give_the_same_reports(ask, risk, book, limit_set):
    """Every part of every report is equal to the bit."""
    name = unique("limits")
    risk.publish_limits(limit_set, name)

    for portfolio, report in zip(book, risk.check_many(book, limits=name), strict=True):
        document = ask(
            portfolio={
                "id": portfolio.id,
                "positions": dict(portfolio.positions),
                "cash": portfolio.cash,
                "nav": portfolio.nav,
                "tags": dict(portfolio.tags),
            },
            limits=name,
        )

        assert list(document.pop("timings")) == ["compute_ms"]
        assert document == as_document(report)


@pytest.mark.parametrize("queue", ["risk.critical", "risk.normal", "risk.batch"])
def test_every_lane_serves_the_json_task(ask, queue):
    assert ask(queue, portfolio={"id": "p", "positions": {}})["status"] == "ok"


def test_the_json_task_accepts_every_option(ask, risk, market):
    """Limits, measures, settings and market, as documents with the fields of the classes."""
    limits = {"id": "mine", "limits": [{"measure": "gross_exposure", "hard": 1}]}
    settings = {"confidence": 0.95, "horizon_days": 10, "var_convention": "linear"}
    measures = ["value_at_risk", "stress_loss:crash-2020"]

    document = ask(
        portfolio={"id": "p", "positions": {"AAPL": 3}},
        limits=limits,
        measures=measures,
        settings=settings,
        market=market.id,
    )

    report = risk.check(
        Portfolio("p", {"AAPL": 3}),
        limits=LimitSet("mine", [Limit("gross_exposure", hard=1)]),
        measures=measures,
        settings=MeasureSettings("0.95", 10, "linear"),
    )
    del document["timings"]
    assert document == as_document(report)
    assert document["decision"] == "reject"


GOOD = {"id": "p", "positions": {"AAPL": 1.0}}

BAD_REQUESTS = {
    "no portfolio": ({}, "invalid_portfolio", "portfolio"),
    "limits empty": ({"portfolio": GOOD, "limits": ""}, "invalid_limit", "limits"),
    "market empty": ({"portfolio": GOOD, "market": ""}, "invalid_settings", "market"),
    "portfolio a text": ({"portfolio": "p"}, "invalid_portfolio", "portfolio"),
    "portfolio without id": ({"portfolio": {"positions": {}}}, "invalid_portfolio", "portfolio"),
    "portfolio with another key": (
        {"portfolio": {**GOOD, "leverage": 2}},
        "invalid_portfolio",
        "portfolio",
    ),
    "quantity a text": (
        {"portfolio": {"id": "p", "positions": {"AAPL": "1"}}},
        "invalid_portfolio",
        "portfolio.positions[...]",
    ),
    "quantity nan": (
        {"portfolio": {"id": "p", "positions": {"AAPL": float("nan")}}},
        "invalid_portfolio",
        "positions['AAPL']",
    ),
    "nav infinite": ({"portfolio": {**GOOD, "nav": float("inf")}}, "invalid_portfolio", "nav"),
    "unknown instrument": (
        {"portfolio": {"id": "p", "positions": {"NOPE": 1.0}}},
        "unknown_instrument",
        "positions['NOPE']",
    ),
    "unknown measure": (
        {"portfolio": GOOD, "measures": ["value_at_rsk"]},
        "unknown_measure",
        "measures",
    ),
    "measures a text": ({"portfolio": GOOD, "measures": "x"}, "unknown_measure", "measures"),
    "measures a number": ({"portfolio": GOOD, "measures": 5}, "unknown_measure", "measures"),
    "measures of numbers": ({"portfolio": GOOD, "measures": [5]}, "unknown_measure", "measures"),
    "unknown scenario": (
        {"portfolio": GOOD, "measures": ["stress_loss:nowhere"]},
        "unknown_scenario",
        "measures",
    ),
    "unknown argument": ({"portfolio": GOOD, "limit": {}}, "invalid_settings", "limit"),
    "unknown limit set": (
        {"portfolio": GOOD, "limits": "nowhere-to-be-found"},
        "unknown_limit_set",
        "limits",
    ),
    "limits a number": ({"portfolio": GOOD, "limits": 5}, "invalid_limit", "limits"),
    "threshold nan": (
        {
            "portfolio": GOOD,
            "limits": {"id": "s", "limits": [{"measure": "volatility", "hard": float("nan")}]},
        },
        "invalid_limit",
        "limits[0].hard",
    ),
    "confidence": (
        {"portfolio": GOOD, "settings": {"confidence": "99"}},
        "invalid_settings",
        "confidence",
    ),
    "horizon a text": (
        {"portfolio": GOOD, "settings": {"horizon_days": "ten"}},
        "invalid_settings",
        "settings.horizon_days",
    ),
    "market a number": ({"portfolio": GOOD, "market": 5}, "invalid_settings", "market"),
    "unknown market": ({"portfolio": GOOD, "market": "nowhere"}, "no_market", "market"),
}


@pytest.mark.parametrize(
    ("request_", "code", "field"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys()
)
def test_a_bad_request_is_a_successful_task_with_an_error(ask, request_, code, field):
    """Code, field and remedy are at the top level, and the decision is `reject`."""
    document = ask(**request_)

    assert (document["status"], document["code"], document["field"]) == ("error", code, field)
    assert document["remedy"]
    assert document["message"]
    assert (document["decision"], document["measures"]) == ("reject", {})


def test_the_portfolio_can_be_the_positional_argument(ask):
    assert ask(args=[GOOD])["portfolio_id"] == "p"


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [([GOOD, "nowhere-to-be-found"], {}), ([GOOD], {"portfolio": {**GOOD, "id": "q"}})],
    ids=["limits second", "portfolio twice"],
)
def test_a_second_positional_argument_is_refused(ask, args, kwargs):
    """Otherwise limits would be dropped and the check would run without them."""
    document = ask(args=args, **kwargs)

    assert (document["status"], document["decision"]) == ("error", "reject")


def test_signatures_of_checks_make_a_group(app, risk, market):
    """One result for each, in order; a bad check has its own result."""
    with pytest.raises(RiskTasksError):
        Portfolio("bad", {"AAPL": float("nan")})
    limits = LimitSet("s", [Limit("gross_exposure", hard=1.0)])
    signatures = [
        risk_tasks.signature(Portfolio("a", {"AAPL": 1.0}), app=app),
        risk_tasks.signature({"id": "b", "positions": {"NOPE": 1.0}}, app=app),
        risk_tasks.signature(
            Portfolio("c", {"AMD": 1.0}),
            limits=limits,
            measures=["stress_loss:flood", "gross_exposure"],
            priority="critical",
            app=app,
        ),
        risk_tasks.signature(
            Portfolio("d", {"AMD": 1.0}),
            limits=limits,
            measures=(name for name in ("gross_exposure",)),
            settings=MeasureSettings("0.95"),
            market=market.id,
            priority="batch",
            app=app,
        ),
    ]

    with allow_join_result():
        results = group(signatures, app=app).apply_async().get(timeout=TIMEOUT_S)

    assert [result["portfolio_id"] for result in results] == ["a", "b", "c", "d"]
    assert [result.get("code") for result in results] == [
        None,
        "unknown_instrument",
        "unknown_scenario",
        None,
    ]
    assert results[3]["decision"] == "reject"
    assert results[0]["measures"]["market_value"]["value"] == market.prices[0]


def test_a_signature_is_json_and_names_its_lane():
    """Options that are not given are left out, and no app is needed."""
    signature = risk_tasks.signature(GOOD, priority="batch")

    written = json.loads(json.dumps(signature))
    assert written["task"] == "risk.check"
    assert written["kwargs"] == {"portfolio": GOOD}
    assert written["options"] == {"queue": "risk.batch"}


def test_a_signature_does_not_import_numba():
    script = """
import sys
import risk_tasks
risk_tasks.signature({"id": "p", "positions": {}})
risk_tasks.RiskClient("redis://127.0.0.1:1/0").close()
print(*sorted(name for name in sys.modules if name.partition(".")[0] in ("numba", "llvmlite")))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr


def test_pickle_is_refused_and_the_worker_continues(app, ask):
    """The content of a message is never evaluated."""
    sent = app.send_task(
        "risk.check", kwargs={"portfolio": GOOD}, queue="risk.normal", serializer="pickle"
    )

    assert ask(portfolio=GOOD)["status"] == "ok"
    with pytest.raises(RefusedMessageError, match="not JSON"):
        sent.get(timeout=TIMEOUT_S)
