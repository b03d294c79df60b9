"""Reports as tables, sentences and CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import date

import pytest
from rich.console import Console

from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.quality import DataFinding
from risk_tasks.model.report import (
    Breach,
    Contributor,
    Measure,
    NotEvaluated,
    ReportError,
    RiskReport,
    TailScenario,
)
from risk_tasks.render.definitions import limits_table
from risk_tasks.render.reports import explanations, report_tables, reports_csv
from risk_tasks.store.telemetry import LimitWork

BREACH = Breach(
    limit="var-desk",
    measure="value_at_risk",
    observed=1_662_114.0,
    threshold=1_500_000.0,
    unit="ccy",
    utilisation=1.108,
    severity="hard",
    contributors=(
        Contributor("AAPL", 1_000_000.0, 0.6),
        Contributor("XOM", 500_000.0, 0.3),
        Contributor("MSFT", 100_000.0, None),
        Contributor("FOURTH", 1.0, 0.0),
    ),
    scenarios=(
        TailScenario(812, date(2020, 3, 16), -1_662_114.0),
        TailScenario(3, None, -1_700_000.0),
    ),
)
WARNING = Breach(
    limit="top-name",
    measure="concentration",
    observed=0.442,
    threshold=0.4,
    unit="fraction",
    utilisation=None,
    severity="warn",
)
OK = RiskReport(
    portfolio_id="core-equities",
    market_id="m",
    limits_version="v",
    as_of=None,
    status="ok",
    decision="reject",
    measures={
        "gross_exposure": Measure(10_012_345.0, "ccy", "ok"),
        "gross_leverage": Measure(None, "ratio", "undefined", "nav_unknown"),
        "parametric_value_at_risk": Measure(1.5, "ccy", "ok", n_observations=1_250),
        "stress_loss:crash": Measure(2.5, "ccy", "ok"),
    },
    breaches=(BREACH, WARNING),
    not_evaluated=(
        NotEvaluated(
            limit="leverage", measure="gross_leverage", reason="nav_unknown", missing_data="reject"
        ),
    ),
    limits_applied=2,
)
FAILED = RiskReport(
    portfolio_id="broken",
    market_id="m",
    limits_version=None,
    as_of=None,
    status="error",
    decision="reject",
    error=ReportError(
        code="unknown_instrument",
        message="GOLD has no price in this market.",
        field="positions['GOLD']",
        remedy="Publish a market that prices it.",
    ),
)
QUIET = RiskReport(
    portfolio_id="quiet",
    market_id="m",
    limits_version="v",
    as_of=None,
    status="ok",
    decision="accept",
    measures={"volatility": Measure(3.0, "ccy", "ok")},
    limits_applied=2,
)


def printed(renderable, width=100):
    """Return the lines on a terminal of this width, without trailing spaces."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_breach_is_explained_with_its_figures():
    """Observed value, threshold, utilisation, and the largest contributors."""
    lines = printed(explanations([OK]))

    assert lines[0] == "core-equities  reject"
    assert lines[1] == "  var-desk is 1,662,114, hard limit 1,500,000 (111% used)"
    assert lines[2] == "      most from AAPL 1,000,000 (60%), XOM 500,000 (30%), MSFT 100,000"
    assert lines[3] == "      as on 2020-03-16 -1,662,114, observation 3 -1,700,000"


def test_a_warning_without_utilisation_is_explained_without_it():
    """The line of contributors is omitted too."""
    lines = printed(explanations([OK]))

    assert lines[4] == "  top-name is 44.2 %, warning at 40.0 %"
    assert lines[5] == "  leverage could not be evaluated: nav unknown"
    assert len(lines) == 6


def test_an_error_is_explained_with_field_and_remedy():
    """Its code follows the decision."""
    assert printed(explanations([FAILED])) == [
        "broken  reject (unknown_instrument)",
        "  positions['GOLD']: GOLD has no price in this market. Publish a market that prices it.",
    ]


def test_an_error_without_field_or_remedy_is_its_message():
    """Missing parts leave no gap."""
    bare = replace(FAILED, error=ReportError(code="no_market", message="No market."))

    assert printed(explanations([bare]))[1] == "  No market."


def test_an_accepted_portfolio_has_no_explanation():
    """The others are explained in the order of the reports."""
    assert printed(explanations([QUIET])) == []
    assert printed(explanations([])) == []
    lines = printed(explanations([FAILED, QUIET, OK]))
    assert [line for line in lines if not line.startswith(" ")] == [
        *("broken  reject (unknown_instrument)", "core-equities  reject")
    ]


def test_a_gap_alone_is_explained_too():
    """A limit that could not be evaluated is always shown."""
    gap = replace(OK, breaches=())

    assert printed(explanations([gap]))[1:] == ["  leverage could not be evaluated: nav unknown"]


def test_a_table_has_a_column_per_portfolio_and_a_row_per_measure():
    """Short numbers, blank for a missing measure, then breaches and decisions."""
    lines = printed(report_tables([OK, QUIET], 100))
    cells = {line[:20].strip(): line[20:].split() for line in lines}

    assert cells["gross exposure"] == ["10.01m"]
    assert cells["parametric VaR"] == ["1.50"]
    assert cells["stress crash"] == ["2.50"]
    assert cells["volatility"] == ["3.00"]
    assert cells["breaches"] == ["2", "0"]
    assert cells["limits applied"] == ["2", "2"]
    assert cells["decision"] == ["reject", "accept"]
    assert "observations" not in cells
    assert any("nav unknown" in line for line in lines) or any("- nav" in line for line in lines)


def test_a_table_has_the_number_of_observations_on_request():
    """Blank if no measure of the past was computed."""
    lines = printed(report_tables([QUIET, OK], 100, with_observations=True))

    assert [line.split() for line in lines if line.startswith("observations")] == [
        ["observations", "1,250"]
    ]


def test_findings_in_the_data_are_shown_below_the_report():
    """With the instrument, if there is one; also of an accepted portfolio."""
    findings = (
        DataFinding(kind="jump", instrument="XOM", detail="x10 on 2024-03-04"),
        DataFinding(kind="short_window", detail="90 of 250 days"),
    )

    assert printed(explanations([replace(QUIET, data_quality=findings)])) == [
        "quiet  accept",
        "  data: jump of XOM: x10 on 2024-03-04",
        "  data: short window: 90 of 250 days",
    ]
    row = next(csv.DictReader(io.StringIO(reports_csv([replace(QUIET, data_quality=findings)]))))
    assert row["data_quality"] == "jump:XOM;short_window"


def test_a_portfolio_with_which_no_limit_was_compared_is_explained():
    """Unless no limits were given or published at all."""
    unmatched = replace(QUIET, decision="none", limits_applied=0)

    assert printed(explanations([unmatched])) == [
        "quiet  none",
        "  No limit was compared: none applies to its tags and id, or all were skipped.",
    ]
    assert printed(explanations([replace(unmatched, limits_version=None)])) == []


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("core-equity", ["core-equity"]),
        ("core-equities", ["core-", "equities"]),
        ("a-long-name", ["a-long-name"]),
        ("core-equities-1", ["core-", "equities-1"]),
    ],
)
def test_a_long_name_is_broken_at_its_first_hyphen(name, heading):
    """A short one is not."""
    lines = printed(report_tables([replace(QUIET, portfolio_id=name)], 100))

    assert [line.strip() for line in lines[: len(heading)]] == heading


def test_a_table_shows_an_error_by_its_code():
    """Beside the decision."""
    text = " ".join(printed(report_tables([FAILED], 100)))

    assert "reject" in text
    assert "(unknown_ins" in text


@pytest.mark.parametrize("width", [10, 40, 80, 200])
def test_a_table_has_as_many_columns_as_the_width_allows(width):
    """No portfolio is left out on a narrow terminal."""
    several = [replace(QUIET, portfolio_id=f"p{place:02}") for place in range(7)]

    text = "\n".join(printed(report_tables(several, width), max(width, 40)))

    assert all(f"p{place:02}" in text for place in range(7))
    assert max(map(len, text.splitlines())) <= max(width, 40)
    assert text.count("decision") == -(-7 // max(1, (width - 20) // 13))


MARKUP = ["[/]", "[bold]book[/bold]", "desk[red]", r"a\[b"]


@pytest.mark.parametrize("name", MARKUP)
def test_brackets_in_names_are_not_markup(name):
    """Nor do they raise an error."""
    report = replace(
        OK, portfolio_id=name, measures={f"stress_loss:{name}": Measure(2.5, "ccy", "ok")}
    )
    squeezed = "".join("".join(printed(report_tables([report], 100), 200)).split())

    assert squeezed.count(name) == 2
    assert printed(explanations([report]))[0] == f"{name}  reject"


def test_csv_has_one_row_per_report():
    """Full numbers, an empty cell for a missing value, all breaches in one cell."""
    rows = list(csv.DictReader(io.StringIO(reports_csv([OK, FAILED, QUIET]))))

    assert list(rows[0]) == [
        "portfolio_id",
        *OK.measures,
        "volatility",
        *("status", "decision", "breaches", "code"),
        *("limits_applied", "n_observations", "data_quality"),
    ]
    assert [row["limits_applied"] for row in rows] == ["2", "0", "2"]
    assert [row["n_observations"] for row in rows] == ["1250", "", ""]
    assert [row["data_quality"] for row in rows] == ["", "", ""]
    assert rows[0]["gross_exposure"] == "10012345.0"
    assert rows[0]["gross_leverage"] == ""
    assert rows[0]["volatility"] == ""
    assert rows[0]["breaches"] == "var-desk;top-name"
    assert [row["status"] for row in rows] == ["ok", "error", "ok"]
    assert [row["decision"] for row in rows] == ["reject", "reject", "accept"]
    assert [row["code"] for row in rows] == ["", "unknown_instrument", ""]
    assert rows[1]["gross_exposure"] == ""
    assert rows[2]["volatility"] == "3.0"


def test_names_with_commas_and_quotes_survive_csv():
    """They are quoted."""
    name = 'a,"b"\nc'
    rows = list(csv.reader(io.StringIO(reports_csv([replace(QUIET, portfolio_id=name)]))))

    assert rows[1][0] == name


def test_csv_without_reports_is_a_header():
    """A spreadsheet program can read it."""
    assert reports_csv([]) == (
        "portfolio_id,status,decision,breaches,code,limits_applied,n_observations,data_quality\n"
    )


def test_limits_are_printed_one_per_row():
    """With full thresholds in the unit of the measure, and their scope."""
    limits = LimitSet(
        "house",
        [
            Limit("value_at_risk@0.95", warn=1_000_000, hard=1_500_000, id="var"),
            Limit(
                "concentration",
                hard=0.25,
                applies_to={"desk": ["fx", "rates"]},
                comparison="below",
                missing_data="skip",
                id="top[name]",
            ),
        ],
    )

    lines = printed(limits_table(limits, LimitWork(2_000, {"var": 1_500})), 160)

    assert lines[0] == ("Limits house; without a limit: none; 2,000 checks since publication")
    assert lines[2].split() == [*("var", "above", "1,000,000", "1,500,000", "1,500")]
    assert lines[3].split() == [
        *("top[name]", "below", "25.0", "%", "desk=fx|rates;", "missing", "data:", "skip", "0")
    ]


@pytest.mark.parametrize("name", MARKUP)
def test_brackets_in_names_of_limits_are_not_markup(name):
    """In the id, the scope and the name of the set."""
    limits = LimitSet(name, [Limit("volatility", hard=1.0, applies_to={name: name}, id=name)])

    text = "".join("".join(printed(limits_table(limits, LimitWork()), 200)).split())

    assert text.count(name) == 4


def test_a_degraded_value_is_marked_with_its_reason():
    """Limits apply to it, but it is not the requested one."""
    degraded = Measure(3.0, "ccy", "degraded", "outside_domain")
    reports = [
        replace(QUIET, measures={"volatility": degraded}),
        replace(QUIET, portfolio_id="other", measures={"volatility": degraded}),
        replace(QUIET, portfolio_id="third"),
    ]

    lines = printed(report_tables(reports, 100))

    assert next(line for line in lines if "volatility" in line).split()[1:] == [
        *("3.00*", "3.00*", "3.00")
    ]
    assert lines[-1] == ("* volatility is degraded (outside domain): quiet, other")
    assert not any("*" in line for line in printed(report_tables([QUIET], 100)))
