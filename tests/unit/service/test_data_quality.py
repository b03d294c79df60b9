"""The findings of the rows of a block: those of the instruments that each portfolio holds."""

from datetime import UTC, datetime

import numpy as np
import pytest

from risk_tasks.engine import MarketArrays, PortfolioBlock
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.quality import MOST_NAMED, DataFinding
from risk_tasks.service.data_quality import data_quality
from risk_tasks.wire.request import Detail

N = 30


def market(*findings):
    """Return a market of `N` instruments I0, I1, ... with these findings."""
    names = [f"I{i}" for i in range(N)]
    plain = MarketSnapshot(datetime(2024, 5, 6, tzinfo=UTC), names, np.ones(N), np.zeros((2, N)))
    return MarketArrays.of(plain.with_remarks(findings, {}))


def block(*rows):
    """Return a block of portfolios, each given as quantities by number of the instrument."""
    sizes = [len(row) for row in rows]
    return PortfolioBlock(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.array([index for row in rows for index in row], dtype=np.int64),
        np.array([quantity for row in rows for quantity in row.values()]),
        np.zeros(len(rows)),
        np.ones(len(rows)),
    )


def finding(index, kind="jump"):
    return DataFinding(kind=kind, instrument=f"I{index}", detail="x100")


def test_a_row_has_the_findings_of_what_it_holds():
    """A quantity of 0 is not held."""
    rows = block({0: 1.0, 3: -2.0}, {}, {1: 5.0}, {3: 0.0, 4: 1.0}, {4: 1.0, 3: 2.0})

    found = data_quality(
        rows, market(finding(3), finding(3, "gap"), finding(4)), Detail.REPORTS, {}
    )

    assert {row: list(map(str, of_row)) for row, of_row in found.items()} == {
        0: ["jump:I3", "gap:I3"],
        3: ["jump:I4"],
        4: ["jump:I3", "gap:I3", "jump:I4"],
    }
    assert {one.detail for of_row in found.values() for one in of_row} == {"x100"}


def test_a_finding_of_the_row_itself_is_first():
    own = DataFinding(kind="short_window", detail="20 of 500")
    rows = block({3: 1.0}, {1: 1.0})

    found = data_quality(rows, market(finding(3)), Detail.REPORTS, {0: (own,), 1: (own,)})

    assert found == {0: (own, finding(3)), 1: (own,)}


@pytest.mark.parametrize("detail", [Detail.SUMMARY, Detail.BREACHES])
def test_a_table_has_no_details(detail):
    found = data_quality(block({3: 1.0}), market(finding(3)), detail, {})

    assert found == {0: (DataFinding(kind="jump", instrument="I3"),)}


def test_a_report_names_a_bounded_number_of_instruments():
    everything = market(*map(finding, range(N)))

    (named,) = data_quality(
        block(dict.fromkeys(range(N), 1.0)), everything, Detail.REPORTS, {}
    ).values()

    assert len(named) == MOST_NAMED + 1
    assert named[-1] == DataFinding(kind="jump", detail=f"and {N - MOST_NAMED} more instruments")


def test_a_market_without_findings_has_no_data_quality():
    assert data_quality(block({3: 1.0}), market(), Detail.REPORTS, {}) == {}
