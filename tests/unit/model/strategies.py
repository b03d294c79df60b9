"""Generated models: portfolios, markets, scenarios, limits, settings."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
from hypothesis import strategies as st

from risk_tasks.model.limits import Comparison, Limit, LimitSet, MissingData, ShortWindow
from risk_tasks.model.market import EarlierPrice, MarketSnapshot
from risk_tasks.model.measures import (
    Distribution,
    HorizonRule,
    MeasureSettings,
    Precision,
    VarConvention,
)
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.quality import DataFinding, FindingKind
from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES, Qualifier
from risk_tasks.model.scenario import Replay, Scenario

names = st.text(min_size=1, max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(1e-6, 1e6)
#: relative changes of a price
changes_of_prices = st.floats(-1.0, 1e300)
amounts = st.none() | numbers
confidences = st.integers(1, 9999).map(lambda parts: f"0.{parts:04}")
zones = st.integers(-12, 12).map(lambda hours: timezone(timedelta(hours=hours)))
moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=zones | st.just(UTC))
tags = st.dictionaries(names, st.text(max_size=5), max_size=3)

portfolios = st.builds(
    Portfolio,
    names,
    st.dictionaries(names, numbers, max_size=5),
    cash=amounts,
    nav=amounts,
    tags=tags,
)

findings = st.builds(
    DataFinding,
    kind=st.sampled_from([str(kind) for kind in FindingKind]),
    instrument=st.none() | names,
    detail=st.text(max_size=20),
)

days = st.dates(date(1990, 1, 1), date(2100, 1, 1))


@st.composite
def scenarios(draw):
    """Relative and absolute changes of different instruments, by tag, and of others."""
    changes = draw(st.dictionaries(names, changes_of_prices, max_size=4))
    moved = {name for name in changes if draw(st.booleans())}
    return Scenario(
        {name: by for name, by in changes.items() if name not in moved},
        moves={name: by for name, by in changes.items() if name in moved},
        by_tag=draw(
            st.dictionaries(
                names, st.dictionaries(names, changes_of_prices, max_size=2), max_size=1
            )
        ),
        others=draw(st.none() | changes_of_prices),
    )


@st.composite
def replays(draw):
    """A window of any days, with a fallback if it need not cover all."""
    least = draw(st.just(1.0) | st.floats(0, 1))
    start, end = sorted([draw(days), draw(days)])
    return Replay(
        start, end, min_coverage=least, others=draw(changes_of_prices) if least < 1 else None
    )


settings = st.builds(
    MeasureSettings,
    confidences,
    st.integers(1, 1000),
    st.sampled_from(list(VarConvention)),
    st.sampled_from(list(Precision)),
    st.floats(2, 1e308, exclude_min=True),
    st.floats(0, 1, exclude_min=True, exclude_max=True),
    st.floats(0, 1, exclude_min=True),
    st.sampled_from(list(HorizonRule)),
    st.integers(500, 500_000).map(lambda pairs: 2 * pairs),
    st.integers(0, 2**63 - 1),
    st.sampled_from(list(Distribution)),
)

measure_names = st.one_of(
    st.sampled_from(STANDARD_MEASURES),
    st.builds(
        "{}@{}".format,
        st.sampled_from(
            [name for name, of in MEASURES.items() if of.qualifier is Qualifier.CONFIDENCE]
        ),
        confidences,
    ),
    names.map("stress_loss:{}".format),
)


def _is_unbounded(name):
    of = MEASURES[name.partition("@")[0].partition(":")[0]].range
    return of.lowest is None and of.highest is None


#: a limit on one of these may have any threshold
unbounded_measure_names = measure_names.filter(_is_unbounded)


@st.composite
def limits(draw, called=""):
    """One limit; its thresholds are in the order that its comparison requires."""
    comparison = draw(st.sampled_from(list(Comparison)))
    # adding 0.0 turns -0.0 into 0.0: equal limits must have equal versions
    pair = sorted([draw(numbers) + 0.0, draw(numbers) + 0.0], reverse=comparison == "below")
    kept = draw(st.sampled_from([(0,), (1,), (0, 1)]))
    values = names | st.lists(names, min_size=1, max_size=3)
    return Limit(
        draw(unbounded_measure_names),
        warn=pair[0] if 0 in kept else None,
        hard=pair[1] if 1 in kept else None,
        applies_to=draw(st.dictionaries(names | st.just("portfolio_id"), values, max_size=2)),
        missing_data=draw(st.sampled_from(list(MissingData))),
        comparison=comparison,
        short_window=draw(st.sampled_from(list(ShortWindow))),
        id=called or draw(names),
    )


@st.composite
def limit_sets(draw):
    """Up to four limits whose ids differ."""
    ids = draw(st.lists(names, max_size=4, unique=True))
    drawn = [draw(limits(called=name)) for name in ids]
    return LimitSet(draw(names), drawn, unmatched=draw(st.sampled_from(["none", "reject"])))


@st.composite
def markets(draw, min_instruments=0):
    """Up to four instruments over up to five observations, missing returns among them."""
    instruments = draw(st.lists(names, min_size=min_instruments, max_size=4, unique=True))
    n = len(instruments)
    row = st.lists(changes_of_prices | st.just(float("nan")), min_size=n, max_size=n)
    rows = draw(st.lists(row, max_size=5))
    half = np.array(draw(st.lists(numbers, min_size=n * n, max_size=n * n))).reshape(n, n) / 2
    covariance = np.triu(half, 1) + np.triu(half, 1).T + np.diag(np.abs(half.diagonal()))
    dates = draw(st.none() | st.lists(days, min_size=len(rows), max_size=len(rows), unique=True))
    # One tag of all instruments, so that no two tags differ in their shocks.
    carried = st.dictionaries(st.just("sector"), names, min_size=1)
    of_instruments = st.sampled_from(instruments) if instruments else st.nothing()
    common = {
        "align": "common",
        "window_days": draw(st.none() | st.integers(1, 9)),
        "max_gap_days": draw(st.none() | st.integers(1, 30)),
        "first_dates": draw(st.none() | st.lists(days, min_size=n, max_size=n)),
    }
    return MarketSnapshot(
        draw(moments),
        instruments,
        draw(st.lists(numbers, min_size=n, max_size=n)),
        np.array(rows, dtype=np.float64).reshape(len(rows), n),
        covariance=draw(st.sampled_from([None, covariance])),
        scenarios=draw(
            st.dictionaries(
                names, scenarios() if dates is None else scenarios() | replays(), max_size=3
            )
        ),
        dates=None if dates is None else sorted(dates),
        tags=draw(st.dictionaries(of_instruments, carried)),
        findings=tuple(draw(st.lists(findings, max_size=2))),
        earlier_prices=draw(
            st.dictionaries(of_instruments, st.builds(EarlierPrice, positive, moments))
        ),
        row_days=draw(st.sampled_from([1, 5])),
        **draw(st.sampled_from([{}, {"window_days": len(rows) + 1}, common])),
    )
