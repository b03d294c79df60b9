"""A block of checks in, its answer out: stamps, measures, decisions and breaches."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES, Qualifier
from risk_tasks.model.report import GRAVITY, NotEvaluated
from risk_tasks.model.scenario import Replay, Scenario
from risk_tasks.service import pipeline
from risk_tasks.wire.request import Detail, pack_portfolios
from tests.reference.measures import OF_HISTORY
from tests.unit.service.support import (
    AS_OF,
    BOOKS,
    MARKET,
    answer_of,
    make_market,
    make_service,
    make_terms,
    report_of,
    reports_of,
)

NAN = float("nan")
LONG, HEDGED, EMPTY, SHORT = BOOKS
LIMITS = LimitSet("s", [Limit("gross_exposure", warn=900.0, hard=1500.0)])


def test_a_report_has_market_time_and_limits_version():
    """And its computing time."""
    service = make_service(LIMITS)

    report = report_of(LONG, service=service, version=LIMITS.version)

    assert report.portfolio_id == "long"
    assert (report.market_id, report.as_of) == (MARKET.id, AS_OF)
    assert report.limits_version == LIMITS.version
    assert (report.status, report.error) == ("ok", None)
    assert report.timings["queued_ms"] == 1.25
    assert report.timings["compute_ms"] > 0


def test_the_computing_time_is_in_milliseconds(monkeypatch):
    """From the bytes of the request to the answer."""
    clock = iter([10.0, 10.5])
    monkeypatch.setattr(
        pipeline, "time", SimpleNamespace(perf_counter=clock.__next__, monotonic=lambda: 0.0)
    )

    assert report_of(LONG).timings == {
        "queued_ms": 1.25,
        "fetch_ms": 0.5,
        "compute_ms": 500.0,
    }


def test_measures_are_those_of_the_request_in_its_order():
    """Or the standard set; those of limits follow."""
    limits = LimitSet("s", [Limit("stress_loss:crash", hard=1e9), Limit("volatility", hard=1e9)])

    assert list(report_of(LONG).measures) == list(STANDARD_MEASURES)
    assert list(report_of(LONG, measures=["herfindahl", "volatility"]).measures) == [
        *("herfindahl", "volatility")
    ]
    assert list(report_of(LONG, measures=["herfindahl"], limits=limits).measures) == [
        *("herfindahl", "stress_loss:crash", "volatility")
    ]
    assert report_of(LONG, measures=[]).measures == {}


def test_measures_of_a_book_computed_by_hand():
    """100 at 10, 50 at 20 and 1 at 40, with a nav of 4000."""
    names = ["market_value", "gross_leverage", "concentration", "stress_loss:crash"]

    measures = report_of(LONG, measures=names).measures

    assert {name: measure.value for name, measure in measures.items()} == {
        "market_value": 2040.0,
        "gross_leverage": 0.51,
        "concentration": 1000.0 / 2040.0,
        # 500 of AAPL, 250 of MSFT, and XOM gains an eighth of 40
        "stress_loss:crash": 745.0,
    }
    assert all(measure.status == "ok" for measure in measures.values())


def test_without_limits_a_check_is_not_decided():
    """It is never accept."""
    for report in reports_of(BOOKS):
        assert report.decision == "none"
        assert report.limits_version is None
        assert list(report.breaches) == []


def test_limits_of_the_request_come_before_the_published_ones():
    """The report has the version."""
    own = LimitSet("own", [Limit("gross_exposure", hard=1e9)])
    service = make_service(LIMITS)

    report = report_of(LONG, service=service, version=LIMITS.version, limits=own)

    assert (report.decision, report.limits_version) == ("accept", own.version)


@pytest.mark.parametrize(
    ("portfolio", "decision"), [(LONG, "reject"), (EMPTY, "accept"), (SHORT, "warn")]
)
def test_published_limits_decide(portfolio, decision):
    """2040 is beyond hard, 1000 beyond warn, and 0 beyond neither."""
    report = report_of(portfolio, service=make_service(LIMITS), version=LIMITS.version)

    assert report.decision == decision


def test_a_limit_applies_to_the_portfolios_that_it_names():
    """By tag and by portfolio id, through the whole pipeline."""
    limits = LimitSet(
        "s",
        [
            Limit("gross_exposure", hard=0.5, applies_to={"desk": "eq"}, id="desk"),
            Limit("gross_exposure", hard=0.5, applies_to={"portfolio_id": ["short"]}, id="one"),
        ],
    )

    found = reports_of(BOOKS, limits=limits)

    assert [[breach.limit for breach in report.breaches] for report in found] == [
        *(["desk"], [], [], ["one"])
    ]
    assert [report.decision for report in found] == ["reject", "none", "none", "reject"]
    assert [report.limits_applied for report in found] == [1, 0, 0, 1]


def test_a_report_names_the_set_that_rejects_for_lack_of_a_limit():
    """In `not_evaluated`, by an id of its own and without a measure."""
    limit = Limit("gross_exposure", hard=1e9, applies_to={"desk": "EQ"})
    limits = LimitSet("house", [limit], unmatched="reject")

    report = report_of(LONG, limits=limits)

    assert (report.decision, report.limits_applied, report.breaches) == ("reject", 0, ())
    assert report.not_evaluated == (
        NotEvaluated(
            limit="limit_set:house", measure="", reason="no_limit_applied", missing_data="reject"
        ),
    )
    counts = answer_of(pack_portfolios([LONG], make_terms(limits=limits, detail=Detail.SUMMARY)))
    assert [GRAVITY[rank] for rank in counts.decisions] == ["reject"]


def test_a_breach_has_all_its_fields():
    """Measure, value, threshold and the contributors, the largest first."""
    report = report_of(LONG, limits=LimitSet("s", [Limit("gross_exposure", hard=1020.0, id="g")]))

    assert len(report.breaches) == 1
    breach = report.breaches[0]
    assert (breach.limit, breach.measure, breach.severity) == ("g", "gross_exposure", "hard")
    assert (breach.observed, breach.threshold, breach.unit) == (2040.0, 1020.0, "ccy")
    assert breach.utilisation == 2.0
    assert [(part.instrument, part.amount) for part in breach.contributors] == [
        *(("AAPL", 1000.0), ("MSFT", 1000.0), ("XOM", 40.0))
    ]
    assert [part.share for part in breach.contributors] == [1000 / 2040, 1000 / 2040, 40 / 2040]


BOOK = Portfolio("p", {"AAPL": 10.0, "MSFT": -20.0, "XOM": 5.0})  # worth 100, -400, 200
CONTRIBUTORS = [
    # positive contributions, the largest first, without hedges
    (Limit("net_exposure", hard=-200.0), ["XOM", "AAPL"]),
    # below a lower limit, negative contributions
    (Limit("net_exposure", hard=0.0, comparison="below"), ["MSFT"]),
    # for an absolute limit, those in the direction of the value
    (Limit("net_exposure", hard=50.0, comparison="absolute"), ["MSFT"]),
    (Limit("gross_exposure", hard=50.0, comparison="absolute"), ["MSFT", "XOM", "AAPL"]),
    (Limit("short_exposure", hard=50.0), ["MSFT"]),
    (Limit("concentration", hard=0.5), ["MSFT", "XOM", "AAPL"]),
    (Limit("stress_loss:crash", hard=-100.0), ["AAPL"]),
]


@pytest.mark.parametrize(("limit", "names"), CONTRIBUTORS)
def test_contributors_are_those_in_the_direction_of_the_breach(limit, names):
    """They are not simply the largest positions."""
    report = report_of(BOOK, limits=LimitSet("s", [limit]))

    assert [part.instrument for part in report.breaches[0].contributors] == names


def test_at_most_five_contributors_are_named():
    """The largest of a large book."""
    names = [f"I{i}" for i in range(9)]
    market = make_market(
        instruments=names, prices=np.ones(9), returns=np.zeros((1, 9)), scenarios={}
    )
    book = Portfolio("p", {name: float(i + 1) for i, name in enumerate(names)})

    report = report_of(
        book,
        service=make_service(markets=[market]),
        market=market.id,
        limits=LimitSet("s", [Limit("gross_exposure", hard=1.0)]),
    )

    found = [part.instrument for part in report.breaches[0].contributors]
    assert found == ["I8", "I7", "I6", "I5", "I4"]


def test_a_share_of_zero_is_unknown():
    """A net exposure of 0 has contributions but no shares."""
    flat = Portfolio("p", {"AAPL": 10.0, "MSFT": -5.0})

    report = report_of(flat, limits=LimitSet("s", [Limit("net_exposure", hard=-1.0)]))

    assert [(c.instrument, c.amount, c.share) for c in report.breaches[0].contributors] == [
        ("AAPL", 100.0, None)
    ]


ASKED = [
    f"{name}:AAPL" if definition.qualifier is Qualifier.INSTRUMENT else name
    for name, definition in MEASURES.items()
    if not name.startswith(("stress_", "worst_stress"))
]


@pytest.mark.parametrize("name", ASKED)
def test_every_measure_can_have_a_limit_and_contributors(name):
    """Contributions are finite, and sum to the measure where it is additive."""
    limits = LimitSet("s", [Limit(name, hard=-1e9)])

    # There are enough days for an upper bound of this VaR, but not of the one at 0.99.
    report = report_of(LONG, limits=limits, measures=[], settings=MeasureSettings("0.95"))

    breach = report.breaches[0]
    assert breach.observed == report.measures[name].value
    whole = 1.0 if name == "concentration" else breach.observed
    if name == "short_exposure":
        assert list(breach.contributors) == []
    elif not (name in OF_HISTORY or ":" in name or MEASURES[name].by_path):
        assert sum(part.amount for part in breach.contributors) == pytest.approx(whole, rel=1e-9)
    assert all(np.isfinite([part.amount, part.share]).all() for part in breach.contributors)


def test_a_lower_limit_on_an_empty_book_has_no_contributors():
    """An empty book is below it without any position."""
    floor = Limit("concentration", hard=0.5, comparison="below")
    book = Portfolio("p", {"AAPL": 0.0})

    report = report_of(book, limits=LimitSet("s", [floor]))

    assert report.decision == "reject"
    assert list(report.breaches[0].contributors) == []


def test_all_breaches_and_gaps_of_a_portfolio_are_in_its_report():
    """In the order of the limits; gaps are separate from breaches."""
    limits = LimitSet(
        "s",
        [
            Limit("gross_leverage", hard=1.0),
            Limit("gross_exposure", hard=1.0),
            Limit("volatility", warn=1e-9),
            Limit("stress_loss:flood", warn=1.0),
            Limit("net_exposure", hard=1e9),
        ],
    )
    unknown_nav = Portfolio("p", {"AAPL": 1.0})

    report = report_of(unknown_nav, limits=limits)

    assert [(breach.limit, breach.severity) for breach in report.breaches] == [
        ("gross_exposure", "hard"),
        ("volatility", "warn"),
    ]
    assert [(gap.limit, gap.measure, gap.reason) for gap in report.not_evaluated] == [
        ("gross_leverage", "gross_leverage", "nav_unknown"),
        ("stress_loss:flood", "stress_loss:flood", "unknown_scenario"),
    ]


def test_detail_selects_the_parts_of_an_answer():
    """Measures, decisions and counts always; breaches, gaps and hashes on request."""
    limits = LimitSet("s", [Limit("gross_exposure", hard=1.0), Limit("gross_leverage", hard=1.0)])
    found = {
        detail: answer_of(pack_portfolios([HEDGED], make_terms(limits=limits, detail=detail)))
        for detail in Detail
    }

    for detail, answer in found.items():
        assert answer.breach_counts.tolist() == [2]
        assert [GRAVITY[rank] for rank in answer.decisions] == ["reject"]
        assert list(answer.columns) == list(STANDARD_MEASURES)
        assert bool(answer.breaches) is (detail is not Detail.SUMMARY)
        assert bool(answer.input_hashes) is detail.has_reports
        assert bool(answer.explanations) is (detail is Detail.EXPLAINED)
    unknown = Portfolio("p", {"AAPL": 1.0})
    for detail in Detail:
        request = pack_portfolios([unknown], make_terms(limits=limits, detail=detail))
        assert bool(answer_of(request).gaps) is detail.has_reports


def test_measures_of_the_past_have_the_number_of_their_observations():
    """The days on which all that is held has a return; other measures have none."""
    returns = np.array(MARKET.returns)
    returns[:90, 2] = np.nan
    young = make_market(returns=returns)
    names = ["value_at_risk@0.95", "beta:AAPL", "volatility", "gross_exposure", "stress_loss:crash"]
    service = make_service(markets=[young])

    found = reports_of(BOOKS, service=service, market=young.id, measures=names)

    counts = [{name: one.n_observations for name, one in r.measures.items()} for r in found]
    for count, expected in zip(counts, [160, 250, 250, 160], strict=True):
        assert count == {**dict.fromkeys(names, expected), **dict.fromkeys(names[3:])}


def test_without_measures_of_the_past_no_observations_are_counted():
    """A row with an error has no number of observations."""
    answer = answer_of(pack_portfolios([HEDGED], make_terms(["gross_exposure"])))
    failed = answer_of(
        pack_portfolios([HEDGED, Portfolio("bad", {"GOLD": 1.0})], make_terms(["volatility"]))
    )

    assert answer.n_observations.tolist() == [-1]
    assert failed.n_observations.tolist() == [250, -1]
    assert failed.limits_applied.tolist() == failed.short.tolist() == [0, 0]


def input_hash(portfolio=LONG, *, market=MARKET, **how):
    """Return the input hash of one check."""
    service = make_service(markets=[market])
    return report_of(portfolio, service=service, market=market.id, **how).input_hash


def test_equal_inputs_have_an_equal_hash():
    """On any day, alone or in a block, with any limits on the same measures."""
    again = Portfolio("long", dict(LONG.positions), nav=4000.0, tags={"desk": "other"})
    crowd = reports_of([HEDGED, again, SHORT], limits=LIMITS)

    assert crowd[1].input_hash == input_hash()
    assert input_hash(settings=MeasureSettings("0.990")) == input_hash()
    assert input_hash(market=make_market()) == input_hash()
    assert len(input_hash()) == 64


DAYS = [date(2023, 1, 1) + timedelta(n) for n in range(250)]

OTHER_INPUTS = {
    "id": {"portfolio": replace(LONG, id="long-2")},
    "quantity": {"portfolio": replace(LONG, positions={**LONG.positions, "XOM": 1.0000000001})},
    "sign": {"portfolio": replace(LONG, positions={**LONG.positions, "XOM": -1.0})},
    "position less": {"portfolio": replace(LONG, positions={"AAPL": 100.0, "MSFT": 50.0})},
    "other instrument": {"portfolio": replace(LONG, positions={"AAPL": 100.0, "XOM": 50.0})},
    "cash": {"portfolio": replace(LONG, cash=0.0)},
    "nav": {"portfolio": replace(LONG, nav=4000.5)},
    "nav unknown": {"portfolio": replace(LONG, nav=None)},
    "nav for cash": {"portfolio": replace(LONG, nav=None, cash=4000.0)},
    "measures": {"measures": ["volatility"]},
    "order of measures": {"measures": list(reversed(STANDARD_MEASURES))},
    "confidence": {"settings": MeasureSettings("0.95")},
    "horizon": {"settings": MeasureSettings(horizon_days=10)},
    "horizon rule": {"settings": MeasureSettings(horizon_rule="overlapping")},
    "convention": {"settings": MeasureSettings(var_convention="linear")},
    "precision": {"settings": MeasureSettings(precision="float32")},
    "degrees of freedom": {"settings": MeasureSettings(degrees_of_freedom=4)},
    "decay": {"settings": MeasureSettings(decay=0.97)},
    "age decay": {"settings": MeasureSettings(age_decay=0.97)},
    "paths": {"settings": MeasureSettings(n_paths=20_000)},
    "seed": {"settings": MeasureSettings(seed=1)},
    "distribution": {"settings": MeasureSettings(distribution="student")},
    "covariance": {"market": make_market(covariance=np.eye(3))},
    "price": {"market": make_market(prices=[10.0, 20.0, 40.5])},
    "moment": {"market": make_market(as_of=AS_OF + timedelta(seconds=1))},
    "returns": {"market": make_market(returns=np.zeros((250, 3)))},
    "scenario": {"market": make_market(scenarios={"crash": Scenario({}, others=0.125)})},
    "dates": {"market": make_market(dates=DAYS)},
    "tags": {"market": make_market(tags={"AAPL": {"sector": "technology"}})},
}


@pytest.mark.parametrize("change", OTHER_INPUTS.values(), ids=OTHER_INPUTS.keys())
def test_every_input_changes_the_hash(change):
    """The hash covers everything that a number depends on."""
    assert input_hash(**change) != input_hash()


def test_hashes_of_different_inputs_differ():
    """For any two of the changes."""
    hashes = [input_hash(**change) for change in OTHER_INPUTS.values()]

    assert len(set(hashes)) == len(hashes)


quantities = st.integers(-400, 400).map(lambda eighths: eighths / 8)
books = st.dictionaries(st.sampled_from(["AAPL", "MSFT", "XOM"]), quantities)


@settings(max_examples=30)
@given(st.lists(books, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_a_report_is_the_same_alone_and_in_any_block(held, random):
    """Measures, breaches and hash do not depend on other rows or their order."""
    portfolios = [Portfolio(f"p{i}", book, nav=500.0) for i, book in enumerate(held)]
    shuffled = random.sample(portfolios, len(portfolios))
    service = make_service()

    crowd = reports_of(shuffled, service=service, limits=LIMITS)

    for report, portfolio in zip(crowd, shuffled, strict=True):
        alone = report_of(portfolio, service=service, limits=LIMITS)
        assert replace(report, timings={}) == replace(alone, timings={})


def test_shares_are_finite_or_none():
    """A sum in another order may overflow although the measure did not."""
    names = [f"I{i}" for i in range(32)]
    market = make_market(
        instruments=names, prices=np.ones(32), returns=np.zeros((1, 32)), scenarios={}
    )
    book = Portfolio("p", {name: 1e308 * (-1) ** i for i, name in enumerate(names)})

    report = report_of(
        book,
        service=make_service(markets=[market]),
        market=market.id,
        limits=LimitSet("s", [Limit("market_value", hard=-1.0)]),
    )

    for breach in report.breaches:
        assert all(part.share is None or np.isfinite(part.share) for part in breach.contributors)


def test_parts_of_instruments_sum_to_the_risk_of_the_book():
    """The component of an instrument that is not held is 0."""
    held = list(LONG.positions)
    names = [f"{part}:{i}" for part in PARTS for i in (*held, "MSFT")]
    measures = report_of(LONG, measures=[*names, *PARTS.values()]).measures

    for part, whole in PARTS.items():
        parts = [measures[f"{part}:{i}"].value for i in held]
        assert sum(parts) == pytest.approx(measures[whole].value, rel=1e-9)


PARTS = {
    "component_value_at_risk": "parametric_value_at_risk",
    "component_expected_shortfall": "expected_shortfall",
}


def test_an_instrument_that_the_market_lacks_is_an_error_or_a_gap():
    """An error in a request, and a gap for a limit, as with a scenario."""
    name = "component_value_at_risk:GOLD"
    refused = report_of(LONG, measures=[name])
    limited = report_of(LONG, limits=LimitSet("s", [Limit(name, hard=0.9)]))

    assert (refused.status, refused.code) == ("error", "unknown_instrument")
    assert limited.decision == "reject"
    assert [gap.reason for gap in limited.not_evaluated] == ["unknown_instrument"]


#: MSFT lacks the second day, of which AAPL and XOM fell by a half
GAPPY = np.zeros((250, 3))
GAPPY[1] = [-0.5, np.nan, -0.5]


def report_of_replay(scenario, **change):
    market = make_market(
        returns=GAPPY, dates=DAYS, scenarios={"day": scenario}, tags={"XOM": {"sector": "oil"}}
    )
    return report_of(LONG, service=make_service(markets=[market]), market=market.id, **change)


def test_a_replay_that_covers_a_book_in_part_is_degraded_and_limits_hold():
    """The number uses a stated fallback; its coverage of the book is a measure too."""
    names = ["stress_loss:day", "stress_coverage:day", "worst_stress_loss"]
    limits = LimitSet(
        "s",
        [
            Limit("stress_loss:day", hard=100.0),
            Limit("stress_coverage:day", hard=0.9, comparison="below"),
        ],
    )

    report = report_of_replay(
        Replay(DAYS[1], DAYS[1], min_coverage=0.5, others=-1.0), measures=names, limits=limits
    )

    # 1000 of AAPL and 40 of XOM fell by a half, 1000 of MSFT by all
    loss, share, worst = (report.measures[name] for name in names)
    assert (loss.value, loss.status, loss.reason) == (1520.0, "degraded", "partly_covered")
    assert (share.value, share.status, share.unit) == (1040 / 2040, "ok", "fraction")
    assert (worst.value, worst.status) == (1520.0, "degraded")
    assert [breach.measure for breach in report.breaches] == [
        "stress_loss:day",
        "stress_coverage:day",
    ]
    assert [part.instrument for part in report.breaches[0].contributors] == ["MSFT", "AAPL", "XOM"]


def test_a_limit_on_a_replay_with_too_little_coverage_is_not_evaluated():
    """A hard limit on it rejects."""
    report = report_of_replay(
        Replay(DAYS[1], DAYS[1]), limits=LimitSet("s", [Limit("stress_loss:day", hard=1e9)])
    )

    assert report.decision == "reject"
    assert [gap.reason for gap in report.not_evaluated] == ["not_in_scenario"]


def test_the_coverage_of_an_unknown_scenario_is_an_error_or_a_gap():
    """As with its stress loss."""
    name = "stress_coverage:flood"

    refused = report_of(LONG, measures=[name])
    limited = report_of(LONG, limits=LimitSet("s", [Limit(name, hard=0.9)]))

    assert (refused.status, refused.code) == ("error", "unknown_scenario")
    assert [gap.reason for gap in limited.not_evaluated] == ["unknown_scenario"]


def test_a_shock_by_tag_applies_to_instruments_with_the_tag():
    """An absolute shock applies per unit."""
    scenario = Scenario({"AAPL": 0.0}, moves={"MSFT": -2.0}, by_tag={"sector": {"oil": -0.25}})

    report = report_of_replay(scenario, measures=["stress_loss:day"])

    assert report.measures["stress_loss:day"].value == 50 * 2.0 + 40 * 0.25


def test_a_breach_of_a_historical_measure_has_its_days():
    """By date where the market has dates, and by index otherwise."""
    dated = make_market(dates=[date(2023, 1, 1) + timedelta(n) for n in range(250)])
    limits = LimitSet(
        "s", [Limit("value_at_risk", hard=0.0), Limit("expected_shortfall", hard=0.0)]
    )
    for market in (MARKET, dated):
        service = make_service(markets=[market])
        report = report_of(LONG, service=service, market=market.id, limits=limits)
        at_risk, shortfall = (breach.scenarios for breach in report.breaches)
        values = np.array([LONG.positions.get(name, 0.0) for name in market.instruments])
        pnl = market.returns @ (values * market.prices)
        order = np.argsort(pnl, kind="stable")
        assert [one.observation for one in at_risk] == [order[2]]
        assert [one.observation for one in shortfall] == list(order[:3])
        for one in (*at_risk, *shortfall):
            assert one.pnl == pytest.approx(pnl[one.observation], rel=1e-9)
            dates = market.dates
            assert one.date == (None if dates is None else dates[one.observation])
