"""JSON checks: a document in, a document out, and a report for every bad request."""

from __future__ import annotations

import json
from dataclasses import asdict
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.model.registry import STANDARD_MEASURES
from risk_tasks.service import DocumentService, documents
from risk_tasks.wire.documents import limit_set_document, portfolio_document
from risk_tasks.wire.request import Detail
from tests.unit.service.support import BOOKS, MARKET, make_market, make_service, report_of

NAN = float("nan")
LONG = portfolio_document(BOOKS[0])
DEFAULT = LimitSet("default", [Limit("gross_exposure", warn=1.0)])
STRICT = LimitSet("strict", [Limit("gross_exposure", hard=1.0)])
OTHER_MARKET = make_market(prices=[1.0, 2.0, 4.0])


class Published:
    """A store with current ids by name."""

    def __init__(self, **names):
        self._names = names

    def current(self):
        return dict(self._names)


def make_door(*, markets=None, limits=None):
    """Return the service over published data; by default two markets and two limit sets."""
    service = make_service(DEFAULT, STRICT, markets=[MARKET, OTHER_MARKET])
    if markets is None:
        markets = {"default": MARKET.id, "other": OTHER_MARKET.id}
    if limits is None:
        limits = {"default": DEFAULT.version, "strict": STRICT.version}
    return DocumentService(service, Published(**markets), Published(**limits))


def ask(door=None, **request):
    """Return the report; request and report are encoded as JSON, as by Celery."""
    answer = (door or make_door()).check(json.loads(json.dumps({"portfolio": LONG, **request})))
    return json.loads(json.dumps(answer, allow_nan=False))


def test_a_json_check_equals_a_check_in_a_block():
    """The same numbers, decision, breaches and hash."""
    report = report_of(BOOKS[0], limits=DEFAULT)

    document = ask()

    assert document["portfolio_id"] == "long"
    assert (document["status"], document["decision"]) == ("ok", "warn")
    assert (document["market_id"], document["limits_version"]) == (MARKET.id, DEFAULT.version)
    assert document["input_hash"] == report.input_hash
    assert list(document["measures"]) == list(STANDARD_MEASURES)
    for name, measure in report.measures.items():
        assert document["measures"][name] == {
            "value": measure.value,
            "unit": measure.unit,
            "status": measure.status,
            "reason": measure.reason,
            "n_observations": measure.n_observations,
        }
    assert document["limits_applied"] == report.limits_applied == 1
    assert document["data_quality"] == []
    assert [breach["limit"] for breach in document["breaches"]] == ["gross_exposure"]
    assert document["breaches"][0]["contributors"][0]["instrument"] == "AAPL"
    assert document["timings"]["compute_ms"] > 0
    assert "code" not in document


def test_limits_are_the_default_a_published_name_or_a_limit_set():
    """The report has the version."""
    own = limit_set_document(LimitSet("own", [Limit("gross_exposure", hard=1e9)]))

    assert ask(limits=None)["limits_version"] == DEFAULT.version
    assert ask(limits="strict")["decision"] == "reject"
    assert ask(limits="strict")["limits_version"] == STRICT.version
    assert ask(limits=own)["decision"] == "accept"


def test_without_published_limits_a_check_is_not_decided():
    """It is never accept."""
    document = ask(make_door(limits={}))

    assert (document["status"], document["decision"]) == ("ok", "none")
    assert document["limits_version"] is None


def test_a_market_is_the_default_a_name_or_an_id():
    """A name that is unknown is taken as an id."""
    door = make_door(markets={"default": MARKET.id, "other": OTHER_MARKET.id})

    assert ask(door)["market_id"] == MARKET.id
    assert ask(door, market="other")["market_id"] == OTHER_MARKET.id
    assert ask(make_door(markets={}), market=MARKET.id)["market_id"] == MARKET.id


@pytest.mark.parametrize("market", [None, "unheard of"])
def test_without_a_market_a_check_is_rejected(market):
    """With the code `no_market`, so that an operator publishes one."""
    document = ask(make_door(markets={}), market=market)

    assert (document["status"], document["code"]) == ("error", "no_market")
    assert document["decision"] == "reject"
    assert document["measures"] == {}


def test_measures_and_settings_are_those_of_the_request():
    """As in a block."""
    options = {"measures": ["value_at_risk@0.950"], "settings": {"horizon_days": 4}}
    expected = report_of(
        BOOKS[0], measures=["value_at_risk@0.95"], settings=MeasureSettings(horizon_days=4)
    )

    document = ask(make_door(limits={}), **options)

    assert list(document["measures"]) == ["value_at_risk@0.95"]
    value = expected.measures["value_at_risk@0.95"].value
    assert document["measures"]["value_at_risk@0.95"]["value"] == value


def test_the_portfolio_may_be_a_positional_argument():
    """The only one of the task."""
    door = make_door()

    document = door.check({"limits": "strict"}, LONG)

    assert {**document, "timings": {}} == {
        **door.check({"limits": "strict", "portfolio": LONG}),
        "timings": {},
    }


@pytest.mark.parametrize(
    ("request_", "positional"),
    [({}, (LONG, "strict")), ({"portfolio": LONG}, (LONG,))],
    ids=["two", "one and by name"],
)
def test_all_other_arguments_are_given_by_name(request_, positional):
    """And the portfolio is given once."""
    document = make_door().check(request_, *positional)

    assert (document["status"], document["code"]) == ("error", "invalid_settings")
    assert document["field"] == "args"


def test_the_computing_time_is_in_milliseconds(monkeypatch):
    """It covers the whole answer."""
    door, clock = make_door(), iter([10.0, 10.5])
    monkeypatch.setattr(documents, "time", SimpleNamespace(perf_counter=clock.__next__))
    monkeypatch.setattr(door, "_check", lambda request: report_of(BOOKS[0]))

    assert door.check({"portfolio": LONG})["timings"] == {"compute_ms": 500.0}


BAD_REQUESTS = {
    "no portfolio": ({"portfolio": None}, "invalid_portfolio", "portfolio"),
    "portfolio a text": ({"portfolio": "long"}, "invalid_portfolio", "portfolio"),
    "portfolio a number": ({"portfolio": 5}, "invalid_portfolio", "portfolio"),
    "no id": ({"portfolio": {"positions": {}}}, "invalid_portfolio", "portfolio"),
    "id empty": ({"portfolio": {**LONG, "id": ""}}, "invalid_portfolio", "id"),
    "quantity a text": (
        {"portfolio": {**LONG, "positions": {"AAPL": "1"}}},
        "invalid_portfolio",
        "portfolio.positions[...]",
    ),
    "quantity nan": (
        {"portfolio": {**LONG, "positions": {"AAPL": NAN}}},
        "invalid_portfolio",
        "positions['AAPL']",
    ),
    "nav infinite": ({"portfolio": {**LONG, "nav": 1e999}}, "invalid_portfolio", "nav"),
    "unknown key": ({"portfolio": {**LONG, "money": 1}}, "invalid_portfolio", "portfolio"),
    "unknown instrument": (
        {"portfolio": {**LONG, "positions": {"GOLD": 1}}},
        "unknown_instrument",
        "positions['GOLD']",
    ),
    "unknown argument": ({"limit": "strict"}, "invalid_settings", "limit"),
    "unknown measure": ({"measures": ["luck"]}, "unknown_measure", "measures"),
    "measures a text": ({"measures": "volatility"}, "unknown_measure", "measures"),
    "measures a number": ({"measures": 5}, "unknown_measure", "measures"),
    "measures of numbers": ({"measures": [5]}, "unknown_measure", "measures"),
    "measures of lists": ({"measures": [["volatility"]]}, "unknown_measure", "measures"),
    "bad confidence": ({"measures": ["value_at_risk@9"]}, "invalid_settings", "measures"),
    "unknown scenario": ({"measures": ["stress_loss:x"]}, "unknown_scenario", "measures"),
    "settings a text": ({"settings": "0.95"}, "invalid_settings", "settings"),
    "settings empty text": ({"settings": ""}, "invalid_settings", "settings"),
    "bad horizon": ({"settings": {"horizon_days": 0}}, "invalid_settings", "horizon_days"),
    "unknown setting": ({"settings": {"horizon": 1}}, "invalid_settings", "settings"),
    "unknown limit set": ({"limits": "lax"}, "unknown_limit_set", "limits"),
    "limits a number": ({"limits": 5}, "invalid_limit", "limits"),
    "limits a list": ({"limits": [{"measure": "volatility"}]}, "invalid_limit", "limits"),
    "bad limit": (
        {"limits": {"id": "s", "limits": [{"measure": "volatility"}]}},
        "invalid_limit",
        "limits[0].hard",
    ),
    "market a number": ({"market": 5}, "invalid_settings", "market"),
    "market a list": ({"market": ["default"]}, "invalid_settings", "market"),
    "surrogate id": ({"portfolio": {**LONG, "id": "\ud800"}}, "invalid_portfolio", "id"),
}


@pytest.mark.parametrize(
    ("request_", "code", "field"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys()
)
def test_a_bad_request_has_a_report_with_an_error(request_, code, field):
    """With status error, a code, the field and a remedy; its decision is reject."""
    document = ask(**request_)

    assert (document["status"], document["code"]) == ("error", code)
    assert field in document["field"]
    assert document["decision"] == "reject"
    assert document["message"]
    assert document["remedy"]
    assert document["measures"] == {}
    assert document["timings"]["compute_ms"] >= 0


@pytest.mark.parametrize("limits", [[], 0, False, {}], ids=repr)
def test_invalid_limits_are_an_error(limits):
    """The default applies only to a request without limits."""
    assert ask(limits=limits)["status"] == "error"


@pytest.mark.parametrize("market", [[], 0, False, {}], ids=repr)
def test_an_invalid_market_name_is_an_error(market):
    """The default applies only to a request without a market."""
    assert ask(market=market)["status"] == "error"


def test_the_report_of_an_invalid_portfolio_has_its_id():
    """Without an id it is empty."""
    assert ask(portfolio={**LONG, "nav": "much"})["portfolio_id"] == "long"
    assert ask(portfolio={"id": 5})["portfolio_id"] == ""
    assert ask(portfolio=None)["portfolio_id"] == ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "positions", "cash", "tags", "limits", "measure", "AAPL"])
            | st.text(),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
fields = st.sampled_from(["portfolio", "limits", "measures", "settings", "market", "more"])


@given(st.dictionaries(fields, json_values, max_size=4))
def test_any_json_request_has_a_json_report(request_):
    """A JSON value in any field does not raise."""
    document = make_door().check(request_)

    assert document["status"] in {"ok", "error"}
    json.dumps(document, allow_nan=False)


def test_headroom_is_in_the_report_on_request():
    """It equals that of a block; without `explain` the key is absent."""
    expected = report_of(BOOKS[0], limits=DEFAULT, detail=Detail.EXPLAINED).explanation
    hard = {"limits": limit_set_document(LimitSet("own", [Limit("gross_exposure", hard=1e6)]))}

    assert ask(explain=True)["explanation"] == json.loads(json.dumps(asdict(expected)))
    assert ask(explain=True, **hard)["explanation"]["headroom"][0]["buy"] == pytest.approx(99796)
    for nothing in ({}, {"explain": False}, {"explain": None}):
        assert "explanation" not in ask(**nothing)
    assert "explanation" not in ask(explain=True, portfolio={"id": "p", "positions": {"NO": 1}})


@pytest.mark.parametrize("explain", [1, "true", "", [], {}])
def test_explain_must_be_true_or_false(explain):
    document = ask(explain=explain)

    assert (document["code"], document["field"]) == ("invalid_settings", "explain")
