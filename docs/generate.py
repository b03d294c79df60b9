"""Writes what the documentation repeats of the code: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.libraries.table import libraries_markdown
from risk_tasks import keys
from risk_tasks.model.registry import MEASURES
from risk_tasks.render.measures import measures_markdown

PAGE = Path(__file__).parent / "reference" / "measures.md"
LIVE_PAGE = Path(__file__).parent / "guides" / "live-portfolios.md"
_LIVE_KEYS = ("risk:live", "risk:breaches")


def written(page: str) -> str:
    """Return `page` with the tables of the registry and of other libraries between their marks."""
    page = _between("measures", measures_markdown(), page)
    return _between("libraries", libraries_markdown(MEASURES), page)


def live_written(page: str) -> str:
    """Return `page` with the rows of the table of keys that live portfolios have."""
    rows = [
        line.split(maxsplit=2)
        for line in (keys.__doc__ or "").splitlines()
        if line.startswith(_LIVE_KEYS)
    ]
    table = [f"| `{key}` | {kind} | {holds} |" for key, kind, holds in rows]
    head = ["| key | type | holds; how long it lives |", "| --- | --- | --- |"]
    return _between("keys", "\n".join(head + table), page)


def _between(mark: str, table: str, page: str) -> str:
    found = rf"(<!-- {mark}: .*? -->\n).*?(<!-- end -->)"
    return re.sub(found, lambda marks: f"{marks[1]}{table}\n{marks[2]}", page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
    LIVE_PAGE.write_text(live_written(LIVE_PAGE.read_text()))
