"""Draw the picture of the demo in README.md: `python -m docs.picture` writes docs/_static/demo.svg.

It runs the real `risk-tasks demo` and draws its output with Rich's SVG export.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

TARGET = Path(__file__).parent / "_static" / "demo.svg"
COLUMNS = 120
#: the picture shows the output from this heading, up to this many lines
FIRST, LINES = "measures", 36


def demo_output() -> str:
    """Return what `risk-tasks demo` prints on a terminal with colours."""
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TERM": "xterm"}
    command = [sys.executable, "-m", "risk_tasks", "demo"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)  # noqa: S603
    return done.stdout


def picture(output: str) -> str:
    """Return an SVG of the first lines of `output` from the heading `FIRST`."""
    lines = output.splitlines()
    start = next(n for n, line in enumerate(lines) if Text.from_ansi(line).plain.startswith(FIRST))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi("\n".join(lines[start : start + LINES])))
    svg = console.export_svg(title="risk-tasks demo", unique_id="demo")
    # Rich names web fonts of another host; a viewer without them uses its own monospace font
    head, _, rest = svg.partition("@font-face")
    return head + rest[rest.rindex("}\n\n    .demo-matrix") + 2 :] if rest else svg


if __name__ == "__main__":
    TARGET.write_text(picture(demo_output()), encoding="utf-8")
