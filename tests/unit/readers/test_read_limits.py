"""TOML files of limits become a limit set, or an error that names the place."""

from __future__ import annotations

import pytest

from risk_tasks.errors import InputFileError, InvalidLimitError
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.readers import read_limits, read_proxies, read_scenarios, read_tags

LIMITS = """
id = "standard"

[[limit]]
measure = "value_at_risk@0.95"
warn = 100
hard = 200.5

[[limit]]
id = "crash"
measure = "stress_loss:crash-2020"
hard = 1_000
missing_data = "skip"
short_window = "use"
comparison = "absolute"
applies_to = { desk = ["rates", "fx"], portfolio_id = "core" }
"""


def test_a_file_of_limits_is_a_limit_set(write):
    """Every key reaches its limit; a missing key has the model's default."""
    limits = read_limits(write("limits.toml", LIMITS))

    assert limits == LimitSet(
        "standard",
        [
            Limit("value_at_risk@0.95", warn=100.0, hard=200.5),
            Limit(
                "stress_loss:crash-2020",
                id="crash",
                hard=1000.0,
                missing_data="skip",
                short_window="use",
                comparison="absolute",
                applies_to={"desk": ["rates", "fx"], "portfolio_id": "core"},
            ),
        ],
    )


def one(text: str) -> str:
    """Return a file with one limit on value-at-risk of this text."""
    return f'id = "standard"\n[[limit]]\nmeasure = "value_at_risk"\n{text}\n'


PLACE = "limits.toml, limit 1 (value_at_risk), key "

BAD_LIMITS = {
    "unknown key": (one("hrad = 1"), PLACE + "hrad", "Nearest: hard"),
    "unknown key of the set": ('id = "s"\nlimits = 1\n', "limits.toml, key limits", "limit"),
    "unknown measure": (
        'id = "s"\n[[limit]]\nmeasure = "value_at_rsk"\nhard = 1\n',
        "limits.toml, limit 1 (value_at_rsk), key measure",
        "Nearest: value_at_risk",
    ),
    "bad confidence": (
        'id = "s"\n[[limit]]\nmeasure = "value_at_risk@99"\nhard = 1\n',
        "limit 1 (value_at_risk@99), key measure",
        "Invalid confidence",
    ),
    "measure missing": ('id = "s"\n[[limit]]\nhard = 1\n', "limit 1, key measure", "missing"),
    "measure a number": ('id = "s"\n[[limit]]\nmeasure = 1\n', "limit 1, key measure", "a text"),
    "no threshold": (one(""), PLACE + "hard", "expected warn, hard, or both"),
    "threshold a text": (one('hard = "1"'), PLACE + "hard", "finite number"),
    "threshold nan": (one("hard = nan"), PLACE + "hard", "finite number"),
    "threshold infinite": (one("warn = inf"), PLACE + "warn", "finite number"),
    "threshold true": (one("warn = true"), PLACE + "warn", "finite number"),
    "threshold too long": (one("hard = 1" + "0" * 400), PLACE + "hard", "finite number"),
    "warn beyond hard": (one("warn = 2\nhard = 1"), PLACE + "warn", "so it never warns"),
    "unknown comparison": (one('hard = 1\ncomparison = "over"'), PLACE + "comparison", "above"),
    "unknown missing_data": (one('hard = 1\nmissing_data = "x"'), PLACE + "missing_data", "skip"),
    "scope a text": (one('hard = 1\napplies_to = "desk"'), PLACE + "applies_to", "a table"),
    "scope of a number": (
        one("hard = 1\napplies_to = {desk = 1}"),
        PLACE + "applies_to.desk",
        "neither text nor a list",
    ),
    "scope of numbers": (one("hard = 1\napplies_to = {desk = [1]}"), "applies_to['desk']", "text"),
    "scope of nothing": (one("hard = 1\napplies_to = {desk = []}"), "applies_to['desk']", "text"),
    "same limit twice": (
        one('hard = 1\n[[limit]]\nmeasure = "value_at_risk"\nhard = 2'),
        "limits.toml, key limits[1].id",
        "'value_at_risk'",
    ),
    "id missing": (
        '[[limit]]\nmeasure = "volatility"\nhard = 1\n',
        "limits.toml, key id",
        "missing",
    ),
    "id empty": (one("hard = 1").replace("standard", ""), "limits.toml, key id", "empty"),
    "id a number": (one("hard = 1").replace('"standard"', "1"), "limits.toml, key id", "a text"),
    "limit missing": ('id = "s"\n', "limits.toml, key limit", "missing"),
    "no limit": ('id = "s"\nlimit = []\n', "limits.toml, key limit", "no limit"),
    "one table for many": (
        'id = "s"\n[limit]\nmeasure = "volatility"\n',
        "limits.toml, key limit",
        "Begin each with [[limit]]",
    ),
    "a number for a limit": ('id = "s"\nlimit = [1]\n', "limits.toml, limit 1", "not a table"),
    "not toml": ('id = "s"\nlimit\n', "limits.toml, line 2, column 6", "not TOML"),
    "empty": ("\n", "limits.toml", "empty"),
    "latin-1": (b'id = "K\xf6ln"\n', "limits.toml, line 1", "not UTF-8"),
}


@pytest.mark.parametrize(
    ("content", "field", "message"), BAD_LIMITS.values(), ids=BAD_LIMITS.keys()
)
def test_an_invalid_limit_file_is_refused_at_its_place(write, content, field, message):
    """The error names file, limit and key, or the line of a TOML error."""
    with pytest.raises(InputFileError) as caught:
        read_limits(write("limits.toml", content))

    assert field in caught.value.field
    assert message in str(caught.value)


def test_the_error_of_the_model_is_the_cause(write):
    """With its remedy."""
    with pytest.raises(InputFileError) as caught:
        read_limits(write("limits.toml", one("warn = 2\nhard = 1")))

    assert isinstance(caught.value.__cause__, InvalidLimitError)
    assert caught.value.remedy == caught.value.__cause__.remedy


@pytest.mark.parametrize("read", [read_limits, read_proxies, read_scenarios, read_tags])
def test_anything_but_a_path_is_refused(read):
    """The error names the type."""
    with pytest.raises(InputFileError, match="NoneType is not a path"):
        read(None)


def test_a_missing_file_and_a_directory_are_refused(tmp_path):
    """The error has the path."""
    for path in (tmp_path, tmp_path / "limits.toml"):
        with pytest.raises(InputFileError) as caught:
            read_limits(path)

        assert caught.value.field == str(path)
