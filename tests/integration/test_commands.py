"""The commands: their output on standard output and error, and their exit codes."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from risk_tasks import sample
from risk_tasks.model.measures import HorizonRule, MeasureSettings
from risk_tasks.model.registry import MEASURES, STANDARD_MEASURES
from tests.integration.support import command, environment, only_json, unique

pytestmark = pytest.mark.integration

BOOK_IDS = [
    "long-only",
    "long-short",
    "concentrated",
    "dollar-neutral",
    "all-short",
    "empty",
    "limit-breaker",
]
DECISIONS = ["accept", "warn", "reject", "accept", "accept", "accept", "reject"]
MARKET_KEYS = {"id", "as_of", "instruments", "observations"}
REPORT_KEYS = {"portfolio_id", "decision", "measures", "breaches", "not_evaluated"}


def assert_is_checked_book(document, market) -> None:
    """Check the documented keys and the values of the sample."""
    assert set(document) == {"market", "timings", "limit_warnings", "reports"}
    assert set(document["market"]) == MARKET_KEYS
    assert document["market"]["id"] == market.id
    assert document["market"]["as_of"] == market.as_of.isoformat()
    assert (document["market"]["instruments"], document["market"]["observations"]) == (20, 1000)
    assert set(document["timings"]) >= {"queued_ms", "compute_ms", "total_ms"}
    assert all(ms >= 0 for ms in document["timings"].values())
    assert [report["portfolio_id"] for report in document["reports"]] == BOOK_IDS
    for report in document["reports"]:
        assert set(report) >= REPORT_KEYS
        assert list(report["measures"])[: len(STANDARD_MEASURES)] == list(STANDARD_MEASURES)
        for measure in report["measures"].values():
            assert set(measure) == {"value", "unit", "status", "reason", "n_observations"}


# --- demo, and check with an embedded system


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, subprocess.CompletedProcess[str]]:
    """The commands that start servers and workers, run concurrently."""
    wanted = {
        "demo": ["demo"],
        "demo as json": ["demo", "--json"],
        "check": [
            *("check", sample.BOOKS, "--prices", sample.PRICES),
            *("--scenarios", sample.SCENARIOS, "--json"),
        ],
    }
    with ThreadPoolExecutor(len(wanted)) as pool:
        started = {
            word: pool.submit(command, *arguments, cwd=tmp_path_factory.mktemp("empty"))
            for word, arguments in wanted.items()
        }
        return {word: run.result() for word, run in started.items()}


def test_the_demo_explains_the_breaches(runs):
    """Seven portfolios with their measures, and all broken limits in words."""
    done = runs["demo"]

    assert (done.returncode, done.stderr) == (0, "")
    joined = " ".join(done.stdout.replace("-\n", "-").split())
    for name in ("long-only", "concentrated", "empty", "AAPL", "20 US shares", "1000 daily"):
        assert name in joined
    assert "concentration is 48.5 %, hard limit 40.0 % (121% used)" in joined
    assert "gross_leverage is 1.84x, warning at 1.50x (123% used)" in joined
    assert joined.count("hard limit") == 9
    assert "7 portfolios in" in joined


def test_the_demo_with_json_prints_only_json(runs, market):
    """From any directory, on real prices."""
    document = only_json(runs["demo as json"])

    assert_is_checked_book(document, market)
    assert [report["decision"] for report in document["reports"]] == DECISIONS
    by_id = {report["portfolio_id"]: report for report in document["reports"]}
    assert [len(by_id[name]["breaches"]) for name in BOOK_IDS] == [0, 1, 1, 0, 0, 0, 8]
    worst = by_id["limit-breaker"]["measures"]["value_at_risk"]
    assert worst["value"] == pytest.approx(1_662_114, abs=1)
    assert runs["demo as json"].stderr == ""


def test_check_starts_an_embedded_system(runs, market):
    """Without a broker URL, here with given prices."""
    document = only_json(runs["check"])

    assert_is_checked_book(document, market)
    assert {report["decision"] for report in document["reports"]} == {"none"}
    assert runs["check"].stderr == ""


# --- check, on a running system


@pytest.fixture
def on_fleet(fleet) -> list[str]:
    return ["--broker-url", fleet.url]


SAMPLE_LIMITS = ["--limits", sample.LIMITS]


def test_check_uses_a_running_system(on_fleet, market):
    """With limits from a file; a rejection is not a failure of the command."""
    document = only_json(command("check", sample.BOOKS, *SAMPLE_LIMITS, "--json", *on_fleet))

    assert_is_checked_book(document, market)
    assert [report["decision"] for report in document["reports"]] == DECISIONS


def test_check_uses_the_broker_url_of_the_environment(call, fleet, market, tmp_path):
    """From the variable or its file; with given prices it starts an embedded system."""
    url_file = tmp_path / "url"
    url_file.write_text(fleet.url)

    for named in (
        {"RISK_TASKS_BROKER_URL": fleet.url},
        {"RISK_TASKS_BROKER_URL_FILE": str(url_file)},
    ):
        reports = only_json(call("check", sample.BOOKS, "--json", **named))
        assert {report["market_id"] for report in reports["reports"]} == {market.id}

    refused = call(
        "check", sample.BOOKS, "--prices", tmp_path / "no", RISK_TASKS_BROKER_URL="redis://x"
    )
    assert refused.returncode == 1
    assert "redis" not in refused.stderr


def test_check_prints_tables_and_reasons(on_fleet):
    """80 columns outside a terminal."""
    done = command("check", sample.BOOKS, *SAMPLE_LIMITS, *on_fleet)

    assert done.returncode == 0, done.stderr
    for word in ("value at risk", "decision", "reject", "hard limit", "most from"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_check_writes_csv_to_a_file(call, on_fleet, tmp_path):
    """One row per portfolio, an empty cell for a missing value, nothing on standard output."""
    path = tmp_path / "out.csv"

    done = call(
        *("check", sample.BOOKS, *SAMPLE_LIMITS, "--format", "csv", "-o", path, *on_fleet),
        *("-m", "value_at_risk@0.95", "-m", "gross_leverage", "--confidence", "0.95"),
    )

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [row["portfolio_id"] for row in rows] == BOOK_IDS
    assert [row["decision"] for row in rows] == DECISIONS
    assert list(rows[0])[1:3] == ["value_at_risk@0.95", "gross_leverage"]
    assert float(rows[0]["value_at_risk@0.95"]) > 0
    # The limits name it as well, without a confidence of their own.
    assert rows[0]["value_at_risk@0.95"] == rows[0]["value_at_risk"]
    assert rows[2]["breaches"] == "concentration"


@pytest.mark.parametrize("rule", HorizonRule)
def test_the_horizon_rule_is_applied(call, on_fleet, risk, book, rule):
    """The default is the square root of time."""
    settings = MeasureSettings(horizon_days=10, horizon_rule=rule)
    expected = risk.check_many(book, measures=["value_at_risk"], settings=settings)
    named = [] if rule is HorizonRule.SQRT_TIME else ["--horizon-rule", rule.value]

    arguments = ["check", sample.BOOKS, "-m", "value_at_risk", "--horizon-days", 10]
    found = only_json(call(*arguments, *named, "--json", *on_fleet))["reports"]

    assert [one["measures"]["value_at_risk"]["value"] for one in found] == [
        one.measures["value_at_risk"].value for one in expected
    ]


@pytest.mark.parametrize(
    ("options", "opening"),
    [(["--json"], "{"), (["--format", "csv"], "portfolio_id,"), ([], " ")],
    ids=["json", "csv", "table"],
)
def test_every_format_goes_to_standard_output_or_a_file(call, on_fleet, tmp_path, options, opening):
    """Both are equal apart from timings."""
    path = tmp_path / "out"
    arguments = ["check", sample.BOOKS, *SAMPLE_LIMITS, *options, *on_fleet]

    printed, written = call(*arguments), call(*arguments, "-o", path)

    assert (printed.returncode, written.returncode) == (0, 0)
    assert (printed.stderr, written.stdout, written.stderr) == ("", "", "")
    assert printed.stdout.startswith(opening)
    if opening == "{":
        reports = [json.loads(text)["reports"] for text in (printed.stdout, path.read_text())]
        for report in (*reports[0], *reports[1]):
            del report["timings"]
        assert reports[0] == reports[1]
    else:
        assert path.read_text() == printed.stdout


def test_exit_code_3_reports_a_rejection(on_fleet):
    """The reports are printed too."""
    done = command("check", sample.BOOKS, *SAMPLE_LIMITS, "--json", "--exit-code", *on_fleet)

    assert done.returncode == 3
    decisions = [report["decision"] for report in json.loads(done.stdout)["reports"]]
    assert decisions == DECISIONS


def test_exit_code_0_reports_no_rejection(call, on_fleet, tmp_path):
    """For a CSV of positions; a warning is not a rejection."""
    book, limits = tmp_path / "book.csv", tmp_path / "limits.toml"
    book.write_text("portfolio_id,instrument,quantity\na,AAPL,1\nb,XOM,-2\na,XOM,3\n")
    limits.write_text('id = "s"\n[[limit]]\nmeasure = "short_exposure"\nwarn = 1\nhard = 1e9\n')

    done = call("check", book, "--limits", limits, "--exit-code", "--json", *on_fleet)

    reports = only_json(done)["reports"]
    assert [report["portfolio_id"] for report in reports] == ["a", "b"]
    assert [report["decision"] for report in reports] == ["accept", "warn"]


def test_exit_code_5_reports_a_decision_of_none(call, on_fleet, tmp_path):
    """No limit applies to the desk of one portfolio; a rejection of another has precedence."""
    book, limits = tmp_path / "book.csv", tmp_path / "limits.toml"
    book.write_text("portfolio_id,instrument,quantity,desk\na,AAPL,1,fx\nb,XOM,-2,FX\n")
    limit = '[[limit]]\nmeasure = "gross_exposure"\nhard = {}\napplies_to = {{desk = "fx"}}\n'
    text = 'id = "s"\n{}' + limit
    codes = {}
    for hard in ("1e9", "1"):
        limits.write_text(text.format("", hard))
        done = call("check", book, "--limits", limits, "--exit-code", *on_fleet)
        codes[hard] = done.returncode
        assert "No limit was compared" in done.stdout
    limits.write_text(text.format('unmatched = "reject"\n', "1e9"))
    rejected = call("check", book, "--limits", limits, "--exit-code", "--json", *on_fleet)

    assert codes == {"1e9": 5, "1": 3}
    assert rejected.returncode == 3
    reports = json.loads(rejected.stdout)["reports"]
    assert [report["decision"] for report in reports] == ["accept", "reject"]
    assert [gap["reason"] for gap in reports[1]["not_evaluated"]] == ["no_limit_applied"]


def test_an_instrument_without_a_price_rejects_its_portfolio_only(call, on_fleet, tmp_path):
    """The report has the reason."""
    book = tmp_path / "book.csv"
    book.write_text("portfolio_id,instrument,quantity\na,AAPL,1\nb,NOPE,1\n")

    done = call("check", book, "--exit-code", *on_fleet)

    assert done.returncode == 3
    assert "NOPE has no price in this market." in done.stdout
    assert "unknown_instrument" in "".join(done.stdout.split())


# --- errors


def assert_two_lines(done: subprocess.CompletedProcess[str], *named: str) -> None:
    """Check that an error is two lines, field and remedy, with nothing on standard output."""
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    first, second = done.stderr.splitlines()
    assert first.startswith("risk-tasks: ")
    assert second
    for word in named:
        assert word in done.stderr


def test_a_missing_file_is_an_error_of_two_lines(call, on_fleet, tmp_path):
    path = tmp_path / "book.toml"

    assert_two_lines(call("check", path, "--json", *on_fleet), str(path), "cannot be read")


BAD_BOOKS = {
    "not toml": ("[[portfolio]]\nid =\n", "line 2"),
    "unknown key": ('[[portfolio]]\nid = "a"\nnaw = 1\npositions = {A = 1}\n', "naw"),
    "quantity": ('[[portfolio]]\nid = "a"\npositions = {AAPL = "x"}\n', "AAPL"),
    "empty": ("", "empty"),
}


@pytest.mark.parametrize(("content", "named"), BAD_BOOKS.values(), ids=BAD_BOOKS.keys())
def test_an_invalid_book_is_an_error_of_two_lines(call, on_fleet, tmp_path, content, named):
    path = tmp_path / "book.toml"
    path.write_text(content)

    assert_two_lines(call("check", path, "--json", *on_fleet), "book.toml", named)


REFUSED = {
    "invalid limits": (["--limits", sample.BOOKS], "books.toml"),
    "prices on a running system": (["--prices", sample.PRICES], "--prices"),
    "scenarios on a running system": (["--scenarios", sample.SCENARIOS], "--scenarios"),
    "tags on a running system": (["--tags", sample.SCENARIOS], "--tags"),
    "an unknown measure": (["-m", "value_at_rsk"], "Nearest: value_at_risk"),
    "an invalid confidence": (["--confidence", "99"], "confidence"),
    "a file that cannot be written": (["-o", "/nowhere/at/all"], "--output"),
    "an invalid broker URL": (["--broker-url", "localhost:6379"], "redis://HOST:PORT/DB"),
}


@pytest.mark.parametrize(("arguments", "named"), REFUSED.values(), ids=REFUSED.keys())
def test_an_invalid_option_is_an_error_of_two_lines(call, on_fleet, arguments, named):
    assert_two_lines(call("check", sample.BOOKS, *on_fleet, *arguments), named)


def test_invalid_prices_are_an_error_of_two_lines(call):
    """Before a system is started."""
    assert_two_lines(call("check", sample.BOOKS, "--prices", sample.BOOKS), ".toml")


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["nothing"],
        ["check", "b", "--format", "xml"],
        ["check", "b", "--horizon-rule", "compounded"],
    ],
)
def test_wrong_usage_is_exit_code_2(call, arguments):
    assert call(*arguments).returncode == 2


def test_an_unreachable_broker_is_an_error_of_two_lines(call):
    """Also with its URL in the environment."""
    away = "redis://127.0.0.1:1/0"

    checked = command("check", sample.BOOKS, "--broker-url", away)
    listed = call("market", "list", RISK_TASKS_BROKER_URL=away)

    for done in (checked, listed):
        assert_two_lines(done, "127.0.0.1:1 does not answer")


def test_an_invalid_setting_is_an_error_of_two_lines(call):
    assert_two_lines(call("market", "list", RISK_TASKS_TIMEOUT_S="soon"), "RISK_TASKS_TIMEOUT_S")


def test_check_without_a_published_market_names_the_command_to_publish_one(call, bare):
    done = call("check", sample.BOOKS, "--broker-url", bare.url)

    assert_two_lines(done, "risk-tasks market publish")


@pytest.mark.parametrize(
    ("former", "name"),
    [
        (["dlq", "ls"], "dlq list"),
        (["dlq", "drop", "x"], "dlq remove"),
        (["positions", "rm", "x"], "positions remove"),
        (["listeners", "rm", "x"], "listeners remove"),
        (["quota", "ls"], "quota list"),
    ],
)
def test_a_former_name_of_a_command_is_refused_with_the_new_one(call, former, name):
    done = call(*former)

    assert done.returncode == 2
    assert f"use risk-tasks {name}." in " ".join(done.stderr.split())


# --- market, limits, measures


def test_a_market_is_published_and_listed(call, on_fleet, market, risk, tmp_path):
    """Under a name, with a window, scenarios and tags."""
    name, tags = unique("market"), tmp_path / "tags.toml"
    tags.write_text('[AAPL]\nsector = "technology"\n')

    published = only_json(
        command(
            *("market", "publish", sample.PRICES, "--name", name, "--window-days", "250"),
            *("--scenarios", sample.SCENARIOS, "--tags", tags, "--json", *on_fleet),
        )
    )

    assert risk.load_market(name).tags == {"AAPL": {"sector": "technology"}}
    assert published == {
        "name": name,
        "id": risk.load_market(name).id,
        "as_of": market.as_of.isoformat(),
        "instruments": 20,
        "observations": 250,
        "scenarios": sorted(market.scenarios),
        "finding_count": 0,
        "findings": [],
    }
    listed = only_json(call("market", "list", "--json", *on_fleet))
    del published["findings"]
    assert published in listed
    assert {row["name"] for row in listed} >= {"default", name}
    table = call("market", "list", *on_fleet)
    assert table.returncode == 0
    assert "default" in table.stdout


def test_publishing_prints_a_sentence(call, server, limit_set):
    """The default name is `default`."""
    at = ["--broker-url", server.url]
    assert only_json(call("market", "list", "--json", *at)) == []
    assert "market publish" in call("market", "list", *at).stdout

    market = call("market", "publish", sample.PRICES, *at)
    limits = call("limits", "publish", sample.LIMITS, *at)

    assert (market.returncode, limits.returncode) == (0, 0)
    assert market.stdout.startswith("Published default: 20 instruments, 1000 observations")
    assert limits.stdout.startswith("Published default: 9 limits")
    assert [row["name"] for row in only_json(call("market", "list", "--json", *at))] == ["default"]
    shown = only_json(call("limits", "show", "--json", *at))
    assert (shown["name"], shown["version"]) == ("default", limit_set.version)


def test_invalid_files_are_not_published(call, server, tmp_path):
    """An error of two lines; the server is unchanged."""
    prices = tmp_path / "prices.csv"
    prices.write_text("date,A\n2022-01-03,1\n2022-01-04,x\n")

    for arguments in (["market", "publish", prices], ["limits", "publish", sample.BOOKS]):
        done = call(*arguments, "--broker-url", server.url)
        assert_two_lines(done)

    assert server.key_names() == set()


def test_limits_that_always_or_hardly_fire_are_warned_of(call, on_fleet, tmp_path):
    """On standard error and in the JSON, by `publish` and by `check`; nothing is refused."""
    limits, book = tmp_path / "limits.toml", tmp_path / "book.csv"
    limits.write_text(
        'id = "s"\n[[limit]]\nmeasure = "value_at_risk"\nhard = -50_000\n'
        '[[limit]]\nmeasure = "gross_leverage"\nhard = 150\nmissing_data = "skip"\n'
    )
    book.write_text("portfolio_id,instrument,quantity\na,AAPL,1\n")

    published = call("limits", "publish", limits, "--name", unique("odd"), "--json", *on_fleet)
    checked = call("check", book, "--limits", limits, "--json", *on_fleet)

    assert (published.returncode, checked.returncode) == (0, 0)
    for done, key in ((published, "warnings"), (checked, "limit_warnings")):
        warnings = json.loads(done.stdout)[key]
        assert [(one["kind"], one["limit"], one["field"]) for one in warnings] == [
            ("always_fires", "value_at_risk", "hard"),
            ("hardly_fires", "gross_leverage", "hard"),
        ]
        lines = done.stderr.splitlines()
        assert [line.partition(": ")[2] for line in lines] == [
            f"{one['limit']}: {one['message']}" for one in warnings
        ]
    report = json.loads(checked.stdout)["reports"][0]
    assert (report["decision"], report["limits_applied"]) == ("reject", 1)


def test_limits_on_tags_of_instruments_are_not_published(call, server, tmp_path):
    """Unless the caller says that portfolios carry the tag."""
    at = ["--broker-url", server.url]
    tags, limits = tmp_path / "tags.toml", tmp_path / "limits.toml"
    tags.write_text('[AAPL]\nsector = "technology"\n')
    limits.write_text(
        'id = "s"\n[[limit]]\nmeasure = "gross_exposure"\nhard = 100\n'
        'applies_to = {sector = "technology"}\n'
    )
    assert call("market", "publish", sample.PRICES, "--tags", tags, *at).returncode == 0

    refused = call("limits", "publish", limits, *at)
    shown = call("limits", "show", *at)
    insisted = call("limits", "publish", limits, "--tag", "sector", *at)

    assert_two_lines(refused)
    assert "'sector' selects instruments of the market" in refused.stderr
    assert "No limit set 'default'" in shown.stderr
    assert insisted.returncode == 0


def test_limits_are_published_and_shown(call, on_fleet, limit_set):
    """Every limit with its thresholds."""
    name = unique("limits")

    published = only_json(
        call("limits", "publish", sample.LIMITS, "--name", name, "--json", *on_fleet)
    )

    expected = {"name": name, "id": "standard", "version": limit_set.version, "warnings": []}
    assert published == expected
    shown = only_json(command("limits", "show", "--name", name, "--json", *on_fleet))
    assert (shown["name"], shown["version"]) == (name, limit_set.version)
    assert [limit["measure"] for limit in shown["limits"]] == [
        limit.measure for limit in limit_set.limits
    ]
    table = call("limits", "show", "--name", name, *on_fleet)
    assert table.returncode == 0
    assert "600,000" in table.stdout


def test_unknown_limits_are_an_error_of_two_lines(call, on_fleet):
    name = unique("limits")

    assert_two_lines(call("limits", "show", "--name", name, "--json", *on_fleet), name)


def test_all_measures_are_listed():
    """With all their attributes as JSON."""
    rows = only_json(command("measures", "--json"))

    assert [row["name"] for row in rows] == list(MEASURES)
    assert {row["name"] for row in rows if row["standard"]} == set(STANDARD_MEASURES)
    assert set(rows[0]) >= {"name", "summary", "formula", "unit", "sign", "source", "cost_us"}


def test_names_in_tables_are_not_wrapped(call, on_fleet, risk, limit_set):
    """Users copy them, also from a terminal of 80 columns."""
    name = unique("limits")
    risk.publish_limits(limit_set, name)

    measures, limits = call("measures"), call("limits", "show", "--name", name, *on_fleet)

    assert (measures.returncode, limits.returncode) == (0, 0)
    assert [measure for measure in MEASURES if measure not in measures.stdout] == []
    assert [limit.measure for limit in limit_set.limits if limit.measure not in limits.stdout] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(shell, tmp_path):
    """The completion script calls the command, which returns the completions."""
    # typer would detect the shell from the parent process.
    home = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    program = Path(sys.executable).with_name("risk-tasks")

    def run(*arguments: str, **settings: str) -> str:
        done = subprocess.run(
            [str(program), *arguments],
            env=environment(**home, **settings),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "risk-tasks" in run("--show-completion", shell)
    words = {
        "COMP_WORDS": "risk-tasks status --js",
        "COMP_CWORD": "2",
        "_TYPER_COMPLETE_ARGS": "risk-tasks status --js",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    assert "--json" in run(_RISK_TASKS_COMPLETE=f"complete_{shell}", **words)
