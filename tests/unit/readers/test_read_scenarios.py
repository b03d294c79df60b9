"""TOML files of scenarios become scenarios by name, or an error that names the place."""

from __future__ import annotations

from datetime import date

import pytest

from risk_tasks.errors import InputFileError
from risk_tasks.model.scenario import Replay, Scenario
from risk_tasks.readers import read_scenarios

SCENARIOS = """
[crash-2020.shocks]
AAPL = -0.3
"BRK.B" = 0

[broad-fall]
others = -0.2

[tech]
others = -0.05
shocks = { AAPL = -0.2 }

[oil]
moves = { "CL.1" = -20 }
by_tag = { sector = { energy = -0.1, utilities = 0 } }

[again]
replay = [2020-02-20, 2020-03-23]

[again-in-part]
replay = ["2020-02-20", "2020-03-23"]
min_coverage = 0.8
others = -0.3
"""


def test_tables_are_scenarios_by_name(write):
    """Each kind of change is optional, dates may be texts, and the order is that of the file."""
    scenarios = read_scenarios(write("scenarios.toml", SCENARIOS))

    assert scenarios == {
        "crash-2020": Scenario({"AAPL": -0.3, "BRK.B": 0}),
        "broad-fall": Scenario({}, others=-0.2),
        "tech": Scenario({"AAPL": -0.2}, others=-0.05),
        "oil": Scenario(
            {}, moves={"CL.1": -20}, by_tag={"sector": {"energy": -0.1, "utilities": 0}}
        ),
        "again": Replay(date(2020, 2, 20), date(2020, 3, 23)),
        "again-in-part": Replay(
            date(2020, 2, 20), date(2020, 3, 23), min_coverage=0.8, others=-0.3
        ),
    }
    assert list(scenarios)[:3] == ["crash-2020", "broad-fall", "tech"]


BAD_SCENARIOS = {
    "unknown key": ("[a]\nother = 1\n", "scenario a, key other", "Nearest: others"),
    "shock outside shocks": ("[a]\nAAPL = -0.1\n", "scenario a, key AAPL", "others, shocks"),
    "shock a text": ("[a.shocks]\nX = 'low'\n", "scenario a, key shocks.X", "finite number"),
    "shock nan": ("[a.shocks]\nX = nan\n", "scenario a, key shocks.X", "finite number"),
    "shock infinite": ("[a.shocks]\nX = -inf\n", "scenario a, key shocks.X", "finite number"),
    "shock too long": (f"[a.shocks]\nX = 1{'0' * 400}\n", "key shocks.X", "finite number"),
    "name with a dot": ("[a.shocks]\nBRK.B = -0.1\n", "scenario a, key shocks.BRK", "Quote"),
    "others a text": ("[a]\nothers = 'all'\n", "scenario a, key others", "finite number"),
    "others infinite": ("[a]\nothers = inf\n", "scenario a, key others", "finite number"),
    "shocks a list": ("[a]\nshocks = [1]\n", "scenario a, key shocks", "a table"),
    "nothing shocked": ("[a]\n", "scenario a", "no price change"),
    "no changes in the tables": ("[a]\nmoves = {}\nshocks = {}\n", "scenario a", "no price change"),
    "move a text": ("[a.moves]\nX = 'low'\n", "scenario a, key moves.X", "finite number"),
    "shock and move": ("[a]\nshocks.X = 1\nmoves.X = 1\n", "key moves['X']", "a shock and a move"),
    "tag a number": ("[a.by_tag]\nsector = -0.1\n", "key by_tag.sector", "not a table"),
    "tag's shock a text": ("[a.by_tag.sector]\ntech = ''\n", "by_tag.sector.tech", "finite"),
    "replay a date": (
        "[a]\nreplay = 2020-02-20\n",
        "scenario a, key replay",
        "window of two dates",
    ),
    "replay of one": ("[a]\nreplay = [2020-02-20]\n", "key replay", "[2020-02-20, 2020-03-23]"),
    "replay of words": ("[a]\nreplay = ['then', 'now']\n", "key replay", "window of two dates"),
    "replay of moments": (
        "[a]\nreplay = [2020-02-20T00:00:00, 2020-03-23T00:00:00]\n",
        "key replay",
        "window of two dates",
    ),
    "replay backwards": ("[a]\nreplay = [2020-03-23, 2020-02-20]\n", "key end", "before its start"),
    "replay with shocks": (
        "[a]\nreplay = [2020-02-20, 2020-03-23]\nshocks.X = 1\n",
        "scenario a, key shocks",
        "The keys are replay, min_coverage, others",
    ),
    "coverage above all": (
        "[a]\nreplay = [2020-02-20, 2020-03-23]\nmin_coverage = 80\n",
        "key min_coverage",
        "from 0 to 1",
    ),
    "coverage without a window": (
        "[a]\nothers = 1\nmin_coverage = 1\n",
        "min_coverage",
        "Unknown key",
    ),
    "scenario a number": ("a = -0.2\n", "scenario a", "not a table"),
    "name empty": ('[""]\nothers = 1\n', "scenarios.toml, scenario", "is empty"),
    "no scenario": ("# none\n", "scenarios.toml", "no scenario"),
    "empty": ("", "scenarios.toml", "empty"),
    "not toml": ("[a\n", "scenarios.toml, line 1", "not TOML"),
    "latin-1": (b"# \xe9\n", "scenarios.toml, line 1", "not UTF-8"),
}


@pytest.mark.parametrize(
    ("content", "field", "message"), BAD_SCENARIOS.values(), ids=BAD_SCENARIOS.keys()
)
def test_an_invalid_scenario_file_is_refused_at_its_place(write, content, field, message):
    """The error names file, scenario and key, or the line of a TOML error."""
    with pytest.raises(InputFileError) as caught:
        read_scenarios(write("scenarios.toml", content))

    assert field in caught.value.field
    assert message in str(caught.value)


def test_a_missing_file_and_a_directory_are_refused(tmp_path):
    """The error has the path."""
    for path in (tmp_path, tmp_path / "scenarios.toml"):
        with pytest.raises(InputFileError) as caught:
            read_scenarios(path)

        assert caught.value.field == str(path)
