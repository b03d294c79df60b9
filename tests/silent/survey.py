"""`python -m tests.silent.survey [SPOIL ...]`: count the verdicts of each spoil over all doors.

EXAMPLES is the number of worlds for each spoil. The first wrong answer of each door is on standard
error.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from zlib import crc32

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.silent.doors import Doors, running_doors
from tests.silent.examine import Finding, examine
from tests.silent.outcomes import Verdict
from tests.silent.spoils import SPOILS


def examined(name: str, doors: Doors, n_examples: int) -> list[Finding]:
    """Return what was found in `n_examples` worlds with this spoil."""
    found: list[Finding] = []

    @seed(crc32(name.encode()))
    @settings(
        max_examples=n_examples,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        found.extend(examine(name, doors, data.draw))

    run()
    return found


def row(name: str, found: list[Finding]) -> str:
    """Return the row of the table of one spoil."""
    verdicts = Counter(one.verdict for one in found)
    wrong = [one for one in found if not one.is_allowed]
    doors = ", ".join(sorted({one.door for one in wrong}))
    cells = [name, len(found), *(verdicts[kind] for kind in Verdict), len(wrong), doors]
    return "| " + " | ".join(map(str, cells)) + " |"


def main(names: list[str], n_examples: int) -> None:
    out = sys.stdout.write
    out("| spoil | answers | " + " | ".join(Verdict) + " | not allowed | at |\n")
    out("| --- |" + " ---: |" * (len(Verdict) + 2) + " --- |\n")
    with running_doors() as doors:
        for name in names:
            found = examined(name, doors, n_examples)
            out(row(name, found) + "\n")
            sys.stdout.flush()
            first = {one.door: one for one in reversed(found) if not one.is_allowed}
            for door, one in first.items():
                sys.stderr.write(f"{name}, {door}, {one.portfolio}: {one.verdict}: {one.text}\n")


if __name__ == "__main__":
    main(sys.argv[1:] or list(SPOILS), int(os.environ.get("EXAMPLES", "3")))
