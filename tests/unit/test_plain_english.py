"""The checker of phrases that we avoid, and the files that it checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import plain_english

ROOT = Path(__file__).parents[2]


def _texts(path: str, source: str) -> list[str]:
    return [finding.text for finding in plain_english.findings(path, source)]


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_tracked_prose_has_no_phrase_that_we_avoid() -> None:
    found = [
        str(finding)
        for path in plain_english.tracked([])
        for finding in plain_english.findings(path, Path(path).read_text(encoding="utf-8"))
    ]

    assert found == []


def test_a_phrase_that_is_wrapped_is_found_with_the_line_of_its_paragraph() -> None:
    (finding,) = plain_english.findings("a.md", "One.\n\nNothing is held\nagainst it.\n")

    assert (finding.line, finding.advice) == (3, "compared with")


def test_code_in_markdown_is_ignored() -> None:
    assert _texts("a.md", "`whatever` is a name.\n\n```\nwhatever\n```\n") == []


@pytest.mark.parametrize(
    "source",
    [
        'def f():\n    """Return whatever is there."""\n',
        "x = 1  # whatever is there\n",
        "def test_whatever_is_there_is_read(): ...\n",
        'raise ValueError("Whatever is there.")\n',
    ],
)
def test_docstrings_comments_test_names_and_messages_are_checked(source: str) -> None:
    assert _texts("a.py", source)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.json", '  "title": "Whatever waits",'),
        ("a.json", '  "description": "Whatever waits."'),
        ("a.yml", '          summary: "Whatever waits."'),
    ],
)
def test_titles_descriptions_and_summaries_are_checked(path: str, line: str) -> None:
    """Of dashboards, alerts and contracts."""
    assert _texts(path, f"{line}\n")


@pytest.mark.parametrize(
    "sentence",
    [
        "There is no such measure.",
        "It is no longer stored; there is none.",
        "The value stands for the sum.",
        "The report goes on the list.",
        "A name with a lone surrogate is refused.",
    ],
)
def test_ordinary_english_is_not_reported(sentence: str) -> None:
    assert _texts("a.md", sentence) == []
