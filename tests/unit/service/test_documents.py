"""The JSON door: plain values in, plain values out, and every bad request answered."""

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
    """What a store says is current, by name."""

    def __init__(self, **names):
        self._names = names

    def current(self):
        return dict(self._names)


def make_door(*, markets=None, limits=None):
    """Return the door over what is published; by default two markets and two limit sets."""
    service = make_service(DEFAULT, STRICT, markets=[MARKET, OTHER_MARKET])
    if markets is None:
        markets = {"default": MARKET.id, "other": OTHER_MARKET.id}
    if limits is None:
        limits = {"default": DEFAULT.version, "strict": STRICT.version}
    return DocumentService(service, Published(**markets), Published(**limits))


def ask(door=None, **request):
    """Return the report, having gone through JSON on both ways as Celery's do."""
    answer = (door or make_door()).check(json.loads(json.dumps({"portfolio": LONG, **request})))
    return json.loads(json.dumps(answer, allow_nan=False))


def test_a_document_is_answered_as_a_block_is():
    """The same numbers, decision, breaches and hash as through the other door."""
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
        }
    assert [breach["limit"] for breach in document["breaches"]] == ["gross_exposure"]
    assert document["breaches"][0]["contributors"][0]["instrument"] == "AAPL"
    assert document["timings"]["compute_ms"] > 0
    assert "code" not in document


def test_limits_are_the_published_default_a_name_or_ones_own():
    """What is given decides, and the report says which it was."""
    own = limit_set_document(LimitSet("own", [Limit("gross_exposure", hard=1e9)]))

    assert ask(limits=None)["limits_version"] == DEFAULT.version
    assert ask(limits="strict")["decision"] == "reject"
    assert ask(limits="strict")["limits_version"] == STRICT.version
    assert ask(limits=own)["decision"] == "accept"


def test_without_published_limits_nothing_is_decided():
    """None is never accept."""
    document = ask(make_door(limits={}))

    assert (document["status"], document["decision"]) == ("ok", "none")
    assert document["limits_version"] is None


def test_a_market_is_the_default_a_name_or_an_id():
    """An id that no name has is looked for as it is."""
    door = make_door(markets={"default": MARKET.id, "other": OTHER_MARKET.id})

    assert ask(door)["market_id"] == MARKET.id
    assert ask(door, market="other")["market_id"] == OTHER_MARKET.id
    assert ask(make_door(markets={}), market=MARKET.id)["market_id"] == MARKET.id


@pytest.mark.parametrize("market", [None, "unheard of"])
def test_without_a_market_the_answer_says_so(market):
    """It is rejected, with the code that tells operators what to publish."""
    document = ask(make_door(markets={}), market=market)

    assert (document["status"], document["code"]) == ("error", "no_market")
    assert document["decision"] == "reject"
    assert document["measures"] == {}


def test_measures_and_settings_are_those_asked_for():
    """As in the other door."""
    asked = {"measures": ["value_at_risk@0.950"], "settings": {"horizon_days": 4}}
    expected = report_of(
        BOOKS[0], measures=["value_at_risk@0.95"], settings=MeasureSettings(horizon_days=4)
    )

    document = ask(make_door(limits={}), **asked)

    assert list(document["measures"]) == ["value_at_risk@0.95"]
    value = expected.measures["value_at_risk@0.95"].value
    assert document["measures"]["value_at_risk@0.95"]["value"] == value


def test_the_portfolio_may_stand_by_position():
    """As the one argument of a task that is not named."""
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
def test_only_the_portfolio_stands_by_position_and_once(request_, positional):
    """Whatever else is told by its name."""
    document = make_door().check(request_, *positional)

    assert (document["status"], document["code"]) == ("error", "invalid_settings")
    assert document["field"] == "args"


def test_time_is_told_in_milliseconds(monkeypatch):
    """Of the whole answer."""
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
def test_a_bad_request_is_answered_and_never_raised(request_, code, field):
    """With status error, a code, the field and what mends it; and it is rejected."""
    document = ask(**request_)

    assert (document["status"], document["code"]) == ("error", code)
    assert field in document["field"]
    assert document["decision"] == "reject"
    assert document["message"]
    assert document["remedy"]
    assert document["measures"] == {}
    assert document["timings"]["compute_ms"] >= 0


@pytest.mark.parametrize("limits", [[], 0, False, {}], ids=repr)
def test_limits_that_are_no_limits_are_not_taken_for_none_given(limits):
    """The default is for those who name nothing, not for those who got it wrong."""
    assert ask(limits=limits)["status"] == "error"


@pytest.mark.parametrize("market", [[], 0, False, {}], ids=repr)
def test_a_market_that_is_no_name_is_not_taken_for_none_given(market):
    """As with limits."""
    assert ask(market=market)["status"] == "error"


def test_a_refused_portfolio_keeps_the_id_that_it_came_with():
    """So that its sender can tell which it was; without one it is empty."""
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
def test_whatever_stands_in_a_request_is_answered(request_):
    """No value of JSON in any place raises anything, and the answer is JSON."""
    document = make_door().check(request_)

    assert document["status"] in {"ok", "error"}
    json.dumps(document, allow_nan=False)


def test_what_limits_leave_is_told_where_it_is_asked_for():
    """The same as the other door tells; without the word there is no such key."""
    expected = report_of(BOOKS[0], limits=DEFAULT, detail=Detail.EXPLAINED).explanation
    hard = {"limits": limit_set_document(LimitSet("own", [Limit("gross_exposure", hard=1e6)]))}

    assert ask(explain=True)["explanation"] == json.loads(json.dumps(asdict(expected)))
    assert ask(explain=True, **hard)["explanation"]["headroom"][0]["buy"] == pytest.approx(99796)
    for nothing in ({}, {"explain": False}, {"explain": None}):
        assert "explanation" not in ask(**nothing)
    assert "explanation" not in ask(explain=True, portfolio={"id": "p", "positions": {"NO": 1}})


@pytest.mark.parametrize("explain", [1, "true", "", [], {}])
def test_explain_is_true_or_false_and_nothing_else(explain):
    document = ask(explain=explain)

    assert (document["code"], document["field"]) == ("invalid_settings", "explain")
