"""The table of agreements that `make docs` writes into docs/reference/measures.md."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.libraries.agreements import AGREEMENTS, EXACT, Agreement, Where

#: what is compared, with its version; requirements.txt is that and all it needs
PINS = Path(__file__).with_name("requirements.in")

_WHERE = {
    Where.WHOLE: "where n alpha is whole: ",
    Where.BROKEN: "where n alpha is not whole: ",
}


def libraries_markdown(measures: Iterable[str]) -> str:
    """Return the table with its versions, and which of `measures` are not in it."""
    versions = ", ".join(PINS.read_text().split()).replace("==", " ")
    beside = {one.measure for one in AGREEMENTS}
    rest = ", ".join(f"`{name}`" for name in measures if name not in beside)
    return "\n".join(
        [
            f"With {versions}.",
            "",
            "| measure | library | its function | equal under |",
            "| --- | --- | --- | --- |",
            *map(_row, AGREEMENTS),
            "",
            f"No function of these libraries computes: {rest}.",
        ]
    )


def _row(one: Agreement) -> str:
    how = _WHERE.get(one.where, "") + one.how
    if one.relative != EXACT:
        how += f"; theirs are finite differences, within {one.relative:g} of the largest part"
    return f"| `{one.measure}` | {one.library} | `{one.function}` | {how} |"
