"""Writes what the documentation repeats of the code: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path

from risk_tasks.render.measures import measures_markdown

PAGE = Path(__file__).parent / "measures.md"


def written(page: str) -> str:
    """Return `page` with the table of the registry between its marks."""
    mark = r"(<!-- measures: .*? -->\n).*?(<!-- end -->)"
    table = measures_markdown() + "\n"
    return re.sub(mark, lambda found: found[1] + table + found[2], page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
