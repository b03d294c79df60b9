"""Tables over real workers have the numbers of `check_many`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl
import pyarrow as pa
import pytest

from risk_tasks import Limit, LimitSet, Portfolio, RiskClient
from risk_tasks.client.answers import BEHIND
from risk_tasks.errors import InvalidTableError
from risk_tasks.model.registry import STANDARD_MEASURES
from risk_tasks.model.report import RiskReport
from tests.integration.support import books, unique

pytestmark = pytest.mark.integration

BEHIND_MEASURES = [name for name, _ in BEHIND]


def positions_of(portfolios: Sequence[Portfolio]) -> pa.Table:
    """Return a row per position."""
    rows = [(p.id, *position) for p in portfolios for position in p.positions.items()]
    return pa.table(dict(zip(("portfolio_id", "instrument", "quantity"), map(list, zip(*rows)))))


def about(portfolios: Sequence[Portfolio]) -> pa.Table:
    """Return a row per portfolio: its cash, nav and tags."""
    tags = sorted({tag for p in portfolios for tag in p.tags})
    return pa.table(
        {
            "portfolio_id": [p.id for p in portfolios],
            "cash": pa.array([p.cash for p in portfolios], pa.float64()),
            "nav": pa.array([p.nav for p in portfolios], pa.float64()),
            **{tag: pa.array([p.tags.get(tag) for p in portfolios], pa.string()) for tag in tags},
        }
    )


def assert_same(table: pa.Table, reports: Sequence[RiskReport]) -> None:
    """Each row equals its report, to the bit, in each requested measure."""
    assert table.column("portfolio_id").to_pylist() == [r.portfolio_id for r in reports]
    for row, report in zip(table.to_pylist(), reports, strict=True):
        for name in STANDARD_MEASURES:
            measure = report.measures[name]
            assert row[name] == (measure.value if measure.status == "ok" else None), name
        assert [row["status"], row["decision"]] == [report.status, report.decision]
        assert row["breach_count"] == len(report.breaches)
        assert row["code"] == report.code
        assert row["limits_applied"] == report.limits_applied
        counts = {one.n_observations for one in report.measures.values()} - {None}
        assert {row["n_observations"]} == (counts or {None})
        assert row["data_quality"] == [str(one) for one in report.data_quality]


@pytest.fixture(scope="module")
def portfolios(book, market) -> list[Portfolio]:
    """The sample book, with one portfolio without positions, and thirty others."""
    return [*(p for p in book if p.positions), *books(30, market.instruments, seed=21)]


def test_a_table_has_the_numbers_of_the_reports(risk, portfolios, limit_set):
    """In order of first appearance, with every standard measure, null unless ok."""
    table = risk.check_table(
        positions_of(portfolios), portfolios=about(portfolios), limits=limit_set
    )

    assert table.column_names[: 1 + len(STANDARD_MEASURES)] == ["portfolio_id", *STANDARD_MEASURES]
    assert table.column_names[-len(BEHIND_MEASURES) :] == BEHIND_MEASURES
    assert_same(table, risk.check_many(portfolios, limits=limit_set))


def as_polars(table: pa.Table) -> object:
    return pl.from_arrow(table)


def as_dictionaries(table: pa.Table) -> pa.Table:
    for place, name in enumerate(table.column_names):
        if pa.types.is_string(table.schema.field(name).type):
            table = table.set_column(place, name, table[name].dictionary_encode())
    return table


def as_chunks(table: pa.Table) -> pa.Table:
    """Cut inside portfolios as well, each piece with its own dictionaries."""
    cut = [table.slice(start, 7) for start in range(0, len(table), 7)]
    return pa.concat_tables([as_dictionaries(piece) for piece in cut])


def as_large_strings(table: pa.Table) -> pa.Table:
    fields = [
        field.with_type(pa.large_string()) if pa.types.is_string(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


class OnlyStream:
    """A frame with Arrow's interface and nothing else."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


FRAMES = [as_polars, as_dictionaries, as_chunks, as_large_strings, OnlyStream]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.__name__)
def test_any_frame_with_arrows_interface_is_read_the_same(risk, portfolios, limit_set, frame):
    """Polars, dictionaries, chunks and large strings give the same table."""
    given, beside = positions_of(portfolios), about(portfolios)

    plain = risk.check_table(given, portfolios=beside, limits=limit_set)

    assert risk.check_table(frame(given), portfolios=frame(beside), limits=limit_set).equals(plain)


def test_rows_of_several_portfolios_may_be_mixed(risk, portfolios):
    """Rows are grouped by portfolio, in order of first appearance."""
    by_instrument = positions_of(portfolios).sort_by("instrument")
    order = list(dict.fromkeys(by_instrument.column("portfolio_id").to_pylist()))
    by_id = {p.id: p for p in portfolios}

    table = risk.check_table(by_instrument, measures=["gross_exposure"])

    assert table.column("portfolio_id").to_pylist() == order
    expected = risk.check_many([by_id[name] for name in order], measures=["gross_exposure"])
    got = table.column("gross_exposure").to_pylist()
    # The positions of a portfolio are in another order, and so is their summation.
    wanted = [report.measures["gross_exposure"].value for report in expected]
    assert got == pytest.approx(wanted, rel=1e-13)


def test_a_portfolio_without_positions_is_answered_too(risk):
    """It is only in the second table, and comes last."""
    ids = [unique(), unique()]
    positions = pa.table({"portfolio_id": [ids[0]], "instrument": ["AAPL"], "quantity": [1]})
    beside = pa.table({"portfolio_id": [ids[1], ids[0]], "nav": [10.0, 1_000.0]})

    table = risk.check_table(
        positions, portfolios=beside, measures=["gross_leverage", "herfindahl"]
    )

    assert table.column("portfolio_id").to_pylist() == ids
    assert table.column("gross_leverage").to_pylist()[0] > 0
    assert table.column("herfindahl").to_pylist() == [1.0, None]
    assert table.column("status").to_pylist() == ["ok", "ok"]


def test_a_table_without_positions_has_an_answer_without_rows(risk):
    """With all columns."""
    empty = pa.table({"portfolio_id": [], "instrument": [], "quantity": []})

    table, breaches = risk.check_table(
        empty.cast(positions_of([Portfolio("p", {"AAPL": 1.0})]).schema), return_breaches=True
    )

    assert table.column_names == ["portfolio_id", *STANDARD_MEASURES, *BEHIND_MEASURES]
    assert (len(table), len(breaches)) == (0, 0)


def test_large_tables_go_in_several_blocks(risk, market):
    """Rows are in order of first appearance."""
    portfolios = books(6_000, market.instruments, seed=9)

    table = risk.check_table(positions_of(portfolios), measures=["net_exposure"])

    assert table.column("portfolio_id").to_pylist() == [p.id for p in portfolios]
    prices = dict(zip(market.instruments, market.prices))
    expected = [sum(q * prices[name] for name, q in p.positions.items()) for p in portfolios]
    assert table.column("net_exposure").to_pylist() == pytest.approx(expected, rel=1e-9, abs=1e-6)


# --- breaches


def test_breaches_come_in_a_second_table(risk, portfolios, limit_set):
    """A row per breach, as in the reports."""
    table, breaches = risk.check_table(
        positions_of(portfolios),
        portfolios=about(portfolios),
        limits=limit_set,
        return_breaches=True,
    )

    reports = risk.check_many(portfolios, limits=limit_set)
    assert_same(table, reports)
    pairs = [(r.portfolio_id, breach) for r in reports for breach in r.breaches]
    assert len(breaches) == len(pairs) > 5
    for row, (portfolio_id, breach) in zip(breaches.to_pylist(), pairs, strict=True):
        assert row["portfolio_id"] == portfolio_id
        for name in ("limit", "measure", "observed", "threshold", "unit", "severity"):
            assert row[name] == getattr(breach, name)
        assert math.isclose(row["utilisation"], breach.utilisation)
        assert [part["instrument"] for part in row["contributors"]] == [
            part.instrument for part in breach.contributors
        ]


# --- limit sets by portfolio


@pytest.fixture
def named_sets(risk) -> dict[str, str]:
    """Two published limit sets: one rejects everything, one accepts everything."""
    names = {word: unique(word) for word in ("strict", "lax")}
    for word, threshold in (("strict", 0.0), ("lax", 1e12)):
        limits = LimitSet(names[word], [Limit("gross_exposure", hard=threshold)])
        risk.publish_limits(limits, names[word])
    return names


def with_sets(portfolios: Sequence[Portfolio], names: Sequence[str | None]) -> pa.Table:
    return about(portfolios).append_column("limit_set", pa.array(names, pa.string()))


def test_each_portfolio_is_checked_against_its_own_limit_set(risk, market, named_sets):
    """Rows and breaches are in the order of the portfolios, not of the limit sets."""
    portfolios = books(9, market.instruments, seed=2)
    sets = [named_sets["strict"], None, named_sets["lax"]] * 3

    table, breaches = risk.check_table(
        positions_of(portfolios),
        portfolios=with_sets(portfolios, sets),
        limits=named_sets["lax"],
        return_breaches=True,
    )

    assert table.column("portfolio_id").to_pylist() == [p.id for p in portfolios]
    assert table.column("decision").to_pylist() == ["reject", "accept", "accept"] * 3
    assert table.column("breach_count").to_pylist() == [1, 0, 0] * 3
    strict = [p.id for p in portfolios[::3]]
    assert sorted(breaches.column("portfolio_id").to_pylist()) == sorted(strict)
    observed = dict(zip(*(breaches.column(n).to_pylist() for n in ("portfolio_id", "observed"))))
    gross = dict(zip(*(table.column(n).to_pylist() for n in ("portfolio_id", "gross_exposure"))))
    assert observed == {name: gross[name] for name in strict}


def test_the_limit_set_of_a_row_overrides_that_of_the_call(risk, market, named_sets):
    """Whether the call gives limits inline or by name."""
    portfolios = books(2, market.instruments, seed=2)
    beside = with_sets(portfolios, [named_sets["strict"], None])
    inline = LimitSet("inline", [Limit("gross_exposure", hard=1e12)])

    table = risk.check_table(positions_of(portfolios), portfolios=beside, limits=inline)

    assert table.column("decision").to_pylist() == ["reject", "accept"]


def test_an_unknown_limit_set_is_an_error_of_its_portfolio_only(risk, market, named_sets):
    """The others are answered."""
    portfolios = books(3, market.instruments, seed=2)
    beside = with_sets(portfolios, [named_sets["lax"], unique("nowhere"), named_sets["strict"]])

    table = risk.check_table(positions_of(portfolios), portfolios=beside)

    assert table.column("decision").to_pylist() == ["accept", "reject", "reject"]
    assert table.column("status").to_pylist() == ["ok", "error", "ok"]
    assert table.column("code").to_pylist() == [None, "unknown_limit_set", None]


def test_an_empty_limit_set_name_is_refused(risk, market, named_sets):
    """Spreadsheets write an empty text for a missing cell; it is neither a name nor a null."""
    portfolios = books(2, market.instruments, seed=2)
    beside = with_sets(portfolios, ["", named_sets["strict"]])

    with pytest.raises(InvalidTableError) as caught:
        risk.check_table(positions_of(portfolios), portfolios=beside)

    assert caught.value.field == "portfolios.limit_set"


def test_a_limit_set_named_default_must_be_published(bare, clients, market):
    """A row that names a limit set is never decided without it."""
    risk: RiskClient = clients(bare.url, timeout_s=20)
    risk.publish_market(market)
    portfolios = books(1, market.instruments)
    beside = with_sets(portfolios, ["default"])

    table = risk.check_table(positions_of(portfolios), portfolios=beside)

    assert table.column("code").to_pylist() == ["unknown_limit_set"]
    assert table.column("decision").to_pylist() == ["reject"]


# --- invalid tables and invalid rows


def test_a_bad_row_is_an_error_of_its_portfolio_only(risk, market):
    """The others are answered; a portfolio with a bad row is rejected without measures."""
    good, unknown, infinite, twice, missing = (unique(word) for word in "abcde")
    rows = [
        (good, "AAPL", 1.0),
        (unknown, "NOPE", 1.0),
        (infinite, "AAPL", float("inf")),
        (twice, "AAPL", 1.0),
        (twice, "AAPL", 2.0),
        (missing, "AAPL", None),
    ]
    positions = pa.table(dict(zip(("portfolio_id", "instrument", "quantity"), zip(*rows))))

    table = risk.check_table(positions, measures=["market_value"])

    assert table.column("code").to_pylist() == [
        None,
        "unknown_instrument",
        "invalid_portfolio",
        "invalid_portfolio",
        "invalid_portfolio",
    ]
    assert table.column("status").to_pylist() == ["ok", *["error"] * 4]
    assert table.column("decision").to_pylist() == ["none", *["reject"] * 4]
    price = market.prices[market.index["AAPL"]]
    assert table.column("market_value").to_pylist() == [price, None, None, None, None]


BAD_TABLES = {
    "no table": (5, None, "positions"),
    "no instruments": ({"portfolio_id": ["p"], "quantity": [1]}, None, "positions.instrument"),
    "no ids": ({"instrument": ["A"], "quantity": [1]}, None, "positions.portfolio_id"),
    "quantities of text": (
        {"portfolio_id": ["p"], "instrument": ["A"], "quantity": ["x"]},
        None,
        "positions.quantity",
    ),
    "id missing": (
        {"portfolio_id": ["p", None], "instrument": ["A", "B"], "quantity": [1, 2]},
        None,
        "positions.portfolio_id",
    ),
    "portfolio twice": (
        {"portfolio_id": ["p"], "instrument": ["A"], "quantity": [1]},
        {"portfolio_id": ["p", "p"]},
        "portfolios.portfolio_id",
    ),
    "nav of text": (
        {"portfolio_id": ["p"], "instrument": ["A"], "quantity": [1]},
        {"portfolio_id": ["p"], "nav": ["x"]},
        "portfolios.nav",
    ),
}


@pytest.mark.parametrize(
    ("positions", "portfolios", "field"), BAD_TABLES.values(), ids=BAD_TABLES.keys()
)
def test_a_bad_table_is_refused_by_its_column(risk, positions, portfolios, field):
    """The error names the column."""
    tables = [
        pa.table(given) if isinstance(given, dict) else given for given in (positions, portfolios)
    ]

    with pytest.raises(InvalidTableError) as caught:
        risk.check_table(tables[0], portfolios=tables[1])

    assert caught.value.field == field
