"""Generated models: portfolios, markets, scenarios, limits, settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
from hypothesis import strategies as st

from risk_tasks.model.confidence import VarConvention
from risk_tasks.model.limits import Comparison, Limit, LimitSet, MissingData
from risk_tasks.model.market import MarketSnapshot, Scenario
from risk_tasks.model.measures import HorizonRule, MeasureSettings, Precision
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES, Qualifier

names = st.text(min_size=1, max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
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

scenarios = st.builds(
    Scenario, st.dictionaries(names, numbers, max_size=4), others=st.none() | numbers
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


@st.composite
def limits(draw, called=""):
    """One limit; its thresholds stand in the order that its comparison asks for."""
    comparison = draw(st.sampled_from(list(Comparison)))
    # Adding 0.0 turns -0.0 into 0.0: equal limits are to have equal versions.
    pair = sorted([draw(numbers) + 0.0, draw(numbers) + 0.0], reverse=comparison == "below")
    kept = draw(st.sampled_from([(0,), (1,), (0, 1)]))
    values = names | st.lists(names, min_size=1, max_size=3)
    return Limit(
        draw(measure_names),
        warn=pair[0] if 0 in kept else None,
        hard=pair[1] if 1 in kept else None,
        applies_to=draw(st.dictionaries(names | st.just("portfolio_id"), values, max_size=2)),
        missing_data=draw(st.sampled_from(list(MissingData))),
        comparison=comparison,
        id=called or draw(names),
    )


@st.composite
def limit_sets(draw):
    """Up to four limits whose ids differ."""
    ids = draw(st.lists(names, max_size=4, unique=True))
    return LimitSet(draw(names), [draw(limits(called=name)) for name in ids])


@st.composite
def markets(draw, min_instruments=0):
    """Up to four instruments over up to five observations, missing returns among them."""
    instruments = draw(st.lists(names, min_size=min_instruments, max_size=4, unique=True))
    n = len(instruments)
    row = st.lists(numbers | st.just(float("nan")), min_size=n, max_size=n)
    rows = draw(st.lists(row, max_size=5))
    return MarketSnapshot(
        draw(moments),
        instruments,
        draw(st.lists(numbers, min_size=n, max_size=n)),
        np.array(rows, dtype=np.float64).reshape(len(rows), n),
        scenarios=draw(st.dictionaries(names, scenarios, max_size=3)),
    )
