"""The documents say what the code does."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from docs import generate
from risk_tasks import errors
from risk_tasks.cli import app
from risk_tasks.model.column import Outcome
from risk_tasks.model.confidence import VarConvention
from risk_tasks.model.measures import MeasureSettings, Precision
from risk_tasks.model.registry import MEASURES
from risk_tasks.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def _commands() -> dict[str, Any]:
    found = {}
    for name, command in typer.main.get_command(app).commands.items():
        if hasattr(command, "commands"):
            found.update({f"{name} {sub}": each for sub, each in command.commands.items()})
        else:
            found[name] = command
    return found


def _section(name: str) -> str:
    text = (DOCS / "reference" / "commands.md").read_text()
    pattern = rf"^## risk-tasks {re.escape(name)}\n(.*?)(?=^## |\Z)"
    match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    assert match, f"docs/reference/commands.md has no section on {name}"
    return match.group(1)


@pytest.mark.parametrize("name", sorted(_commands()))
def test_every_command_and_each_of_its_options_is_documented(name: str) -> None:
    section = _section(name)

    options = [
        opt
        for parameter in _commands()[name].params
        if parameter.param_type_name == "option"
        for opt in parameter.opts
        if opt != "--help"
    ]

    assert [opt for opt in options if opt not in section] == []


def test_no_command_is_documented_that_does_not_exist() -> None:
    text = (DOCS / "reference" / "commands.md").read_text()

    documented = re.findall(r"^## risk-tasks (.+)$", text, re.MULTILINE)

    assert sorted(documented) == sorted(_commands())


def test_every_setting_is_documented_with_its_default() -> None:
    text = (DOCS / "reference" / "settings.md").read_text()

    for name, field in Settings.model_fields.items():
        row = next((line for line in text.splitlines() if f"`{PREFIX}{name.upper()}`" in line), "")
        default = field.default
        shown = getattr(default, "get_secret_value", lambda value=default: value)()
        assert row, name
        assert shown is None or f"`{shown}`" in row, name


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("reference/measures.md", list(MEASURES)),
        ("reference/measures.md", [outcome.reason for outcome in Outcome if outcome.reason]),
        ("reference/measures.md", list(VarConvention)),
        ("reference/measures.md", list(Precision)),
    ],
)
def test_every_measure_reason_and_convention_is_documented(page: str, words: list[str]) -> None:
    text = (DOCS / page).read_text()

    assert [word for word in words if f"`{word}" not in text] == []


def test_every_setting_of_measures_is_documented() -> None:
    """In words, and at the door where it comes as plain JSON."""
    names = [field.name for field in dataclasses.fields(MeasureSettings)]

    for page in ("reference/measures.md", "guides/celery.md"):
        text = (DOCS / page).read_text()
        assert [name for name in names if f"`{name}" not in text] == [], page


def test_every_error_is_documented_by_code_and_class() -> None:
    text = (DOCS / "reference" / "errors.md").read_text()
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.RiskTasksError)
    ]

    missing = [kind for kind in kinds if f"| `{kind.code}` | `{kind.__name__}` |" not in text]

    assert missing == []


def test_the_readme_is_short_and_shows_the_payoff_at_once() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()

    assert len(lines) <= 115
    assert any("report.decision" in line for line in lines[:25])


def test_links_between_documents_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")]

    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]

    assert broken == []


def test_the_lock_names_no_registry() -> None:
    lock = (ROOT / "requirements.lock").read_text()

    assert "://" not in lock
    assert "index-url" not in lock


def test_the_table_of_measures_is_that_of_the_registry() -> None:
    """`make docs` writes it."""
    assert generate.PAGE.read_text() == generate.written(generate.PAGE.read_text())
    assert all(name in generate.PAGE.read_text() for name in MEASURES)


def test_the_table_of_keys_is_that_of_the_code() -> None:
    """`make docs` writes it."""
    page = generate.LIVE_PAGE.read_text()

    assert page == generate.live_written(page)
    assert "| `risk:breaches` | stream |" in page
