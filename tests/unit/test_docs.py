"""The documentation says what the code does."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from docs import generate
from risk_tasks import errors
from risk_tasks.model.column import Outcome
from risk_tasks.model.measures import MeasureSettings, Precision, VarConvention
from risk_tasks.model.registry import MEASURES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", sorted(generate.PARTS))
def test_generated_parts_equal_the_code(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")

    assert page == generate.written(name), "the code has changed: run `make docs` and commit"


def test_every_command_and_each_of_its_options_is_documented() -> None:
    text = (DOCS / "reference" / "commands.md").read_text()

    for name, command in generate.all_commands():
        assert f"## risk-tasks {name}\n" in text
        options = [
            option
            for parameter in command.params
            if parameter.param_type_name == "option"
            for option in parameter.opts
        ]
        assert [one for one in options if one != "--help" and f"`{one}`" not in text] == []


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
    """In the reference, and where a check is sent as JSON."""
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


def test_links_between_documents_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").glob("*.md")]

    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]

    assert broken == []


def test_the_lock_names_no_registry() -> None:
    for path in (ROOT / "requirements.lock", DOCS / "requirements.lock"):
        lock = path.read_text()
        assert "://" not in lock
        assert "index-url" not in lock
