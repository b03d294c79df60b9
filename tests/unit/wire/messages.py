"""Generated messages, and helpers that change parts of a message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from risk_tasks.model.column import MeasureColumn, Outcome
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureName, MeasureSettings, parse_measures
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.quality import DataFinding
from risk_tasks.model.report import (
    GRAVITY,
    Breach,
    Contributor,
    Explanation,
    Headroom,
    LimitUse,
    NotEvaluated,
    ReportError,
    TailScenario,
)
from risk_tasks.model.scenario import Scenario
from risk_tasks.wire.answer import AnswerBlock, AnswerHead
from risk_tasks.wire.request import AttemptMark, Detail, Terms
from tests.unit.model import strategies as model

terms = st.builds(
    Terms,
    st.lists(model.measure_names.map(MeasureName.parse), unique=True, max_size=4).map(tuple),
    model.settings,
    st.none() | model.limit_sets(),
    st.sampled_from(list(Detail)),
)

texts = st.text(max_size=6)
_contributors = st.builds(Contributor, texts, model.numbers, model.amounts)
_breaches = st.builds(
    Breach,
    limit=texts,
    measure=texts,
    observed=model.numbers,
    threshold=model.numbers,
    unit=texts,
    utilisation=model.amounts,
    severity=st.sampled_from(["warn", "hard"]),
    contributors=st.lists(_contributors, max_size=2).map(tuple),
    scenarios=st.lists(
        st.builds(TailScenario, st.integers(0, 2**40), st.none() | st.dates(), model.numbers),
        max_size=2,
    ).map(tuple),
)
_gaps = st.builds(NotEvaluated, limit=texts, measure=texts, reason=texts, missing_data=texts)
_findings = st.builds(DataFinding, kind=texts, instrument=st.none() | texts, detail=texts)
_errors = st.builds(
    ReportError, code=texts, message=texts, field=st.none() | texts, remedy=st.none() | texts
)
_uses = st.builds(
    LimitUse,
    limit=texts,
    measure=texts,
    observed=model.numbers,
    warn=model.amounts,
    hard=model.amounts,
    unit=texts,
    utilisation=model.amounts,
    severity=st.none() | st.sampled_from(["warn", "hard"]),
)
_bounds = st.just((None, None)) | st.tuples(model.numbers.map(abs), texts)
_rooms = st.tuples(texts, _bounds, _bounds).map(
    lambda parts: Headroom(
        instrument=parts[0],
        buy=parts[1][0],
        buy_bound_by=parts[1][1],
        sell=parts[2][0],
        sell_bound_by=parts[2][1],
    )
)
_explanations = st.builds(
    Explanation,
    limits=st.lists(_uses, max_size=2).map(tuple),
    headroom=st.lists(_rooms, max_size=2).map(tuple),
    not_bounded=st.lists(texts, max_size=2).map(tuple),
)


@st.composite
def columns(draw, n):
    """A column of `n` rows with a number wherever its outcome has one."""
    outcomes = draw(st.lists(st.sampled_from(list(Outcome)), min_size=n, max_size=n))
    values = [draw(model.numbers) if o.has_value else float("nan") for o in outcomes]
    return MeasureColumn(np.array(values, dtype=np.float64), np.array(outcomes, dtype=np.int8))


@st.composite
def answers(draw):
    """An answer of up to four rows, with every kind of detail."""
    n = draw(st.integers(0, 4))
    rows = st.integers(0, n - 1) if n else st.nothing()
    names = st.lists(model.measure_names.map(MeasureName.parse).map(str), max_size=3, unique=True)
    stamp = st.builds(
        AnswerHead,
        market_id=st.none() | texts,
        as_of=st.none() | model.moments,
        limits_version=st.none() | texts,
        timings=st.dictionaries(texts, model.numbers, max_size=2),
    )
    return AnswerBlock(
        draw(stamp),
        draw(arrays(np.int8, n, elements=st.integers(0, len(GRAVITY) - 1))),
        np.array(draw(st.lists(st.integers(0, 2**31 - 1), min_size=n, max_size=n)), np.int32),
        {name: draw(columns(n)) for name in draw(names)},
        draw(st.dictionaries(rows, _errors)),
        draw(st.dictionaries(rows, st.lists(_breaches, max_size=2))),
        draw(st.dictionaries(rows, st.lists(_gaps, max_size=2))),
        draw(st.just([]) | st.lists(texts, min_size=n, max_size=n)),
        explanations=draw(st.dictionaries(rows, _explanations)),
        limits_applied=draw(row_numbers(n, np.int32, st.integers(0, 2**31 - 1))),
        n_observations=draw(row_numbers(n, np.int64, st.integers(-1, 2**63 - 1))),
        short=draw(row_numbers(n, np.bool_, st.booleans())),
        data_quality=draw(st.dictionaries(rows, st.lists(_findings, max_size=2).map(tuple))),
    )


def row_numbers(n, kind, numbers):
    """Return one number for all of `n` rows, or one for each."""
    each = st.lists(numbers, min_size=n, max_size=n)
    return (each | numbers.map(lambda one: [one] * n)).map(lambda found: np.array(found, kind))


def rewritten(data, *, metadata=None, columns=None):
    """Return the message `data` with these entries of its head and these columns changed.

    None removes an entry; kind and version can be changed like any other entry.
    """
    batch = pa.ipc.open_stream(data).read_next_batch()
    head = {key.decode(): value.decode() for key, value in batch.schema.metadata.items()}
    head = {k: v for k, v in {**head, **(metadata or {})}.items() if v is not None}
    kept = dict(zip(batch.schema.names, batch.columns, strict=True))
    kept = {k: v for k, v in {**kept, **(columns or {})}.items() if v is not None}
    changed = pa.record_batch(kept).replace_schema_metadata(head)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, changed.schema) as writer:
        writer.write_batch(changed)
    return sink.getvalue().to_pybytes()


def head_only(data):
    """Return the message with its schema and without a batch."""
    schema = pa.ipc.open_stream(data).schema
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema):
        pass
    return sink.getvalue().to_pybytes()


AS_OF = datetime(2024, 5, 1, 12, tzinfo=UTC)
MARKET = MarketSnapshot(
    AS_OF,
    ["AAPL", "XOM"],
    [10.0, 20.0],
    [[0.5, -0.25], [0.0, float("nan")], [0.125, 0.25]],
    scenarios={"crash": Scenario({"AAPL": -0.5}, others=-0.25)},
)
PORTFOLIOS = [
    Portfolio("a", {"AAPL": 1.0, "XOM": -2.0}, cash=5.0, tags={"desk": "fx"}),
    Portfolio("b", {}),
    Portfolio("c", {"XOM": 3.0}, nav=7.0),
]
ATTEMPTS = [AttemptMark(3, 7), AttemptMark(1, 1), AttemptMark(2**40, 2**41)]
TERMS = Terms(
    parse_measures(["volatility", "value_at_risk@0.95"]),
    MeasureSettings("0.975", 5, "linear"),
    LimitSet("s", [Limit("volatility", hard=1.0)]),
)
ANSWER = AnswerBlock(
    AnswerHead("m", AS_OF, "v", {"queued_ms": 1.5}),
    np.array([GRAVITY.index("accept"), GRAVITY.index("reject")], np.int8),
    np.array([0, 2], np.int32),
    {
        "volatility": MeasureColumn(
            np.array([1.0, float("nan")]), np.array([Outcome.OK, Outcome.NOT_FINITE], np.int8)
        )
    },
    {1: ReportError(code="invalid_portfolio", message="No.", field="cash", remedy="Mend it.")},
    {
        0: [
            Breach(
                limit="l",
                measure="volatility",
                observed=1.0,
                threshold=0.5,
                unit="ccy",
                utilisation=2.0,
                severity="hard",
                contributors=(Contributor("AAPL", 1.0, None),),
            )
        ]
    },
    {1: [NotEvaluated(limit="l", measure="volatility", reason="r", missing_data="reject")]},
    ["h1", "h2"],
    limits_applied=np.array([1, 0], np.int32),
    n_observations=np.array([250, -1]),
    short=np.array([True, False]),
    data_quality={0: (DataFinding(kind="short_window", detail="250 of 500"),)},
)
EXPLAINED = replace(
    ANSWER,
    explanations={
        0: Explanation(
            limits=(
                LimitUse(
                    limit="l",
                    measure="volatility",
                    observed=1.0,
                    warn=None,
                    hard=0.5,
                    unit="ccy",
                    utilisation=2.0,
                    severity="hard",
                ),
            ),
            headroom=(
                Headroom(
                    instrument="AAPL",
                    buy=0.0,
                    sell=None,
                    buy_bound_by="l",
                    sell_bound_by=None,
                ),
            ),
            not_bounded=("semi_deviation",),
        )
    },
)
