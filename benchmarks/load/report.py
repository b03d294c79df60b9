"""The result of one run, independent of its form."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.load.figures import Figures
from benchmarks.load.judging import Criterion, verdict
from benchmarks.load.tables import Rows, criterion_rows, level_rows, other_rows

NOT_JUDGED = "NOT JUDGED: --validate-optimizations judges"


@dataclass(frozen=True, slots=True)
class Report:
    """Figures, judged criteria, and the machine."""

    figures: Figures
    criteria: list[Criterion] | None
    facts: Mapping[str, object]

    @property
    def verdict(self) -> str:
        return NOT_JUDGED if self.criteria is None else verdict(self.criteria)

    @property
    def exit_code(self) -> int:
        """Return 1 if a criterion is missed, else 0."""
        return int(self.verdict.startswith("FAIL"))

    @property
    def tables(self) -> list[Rows]:
        return [
            level_rows(self.figures.levels),
            other_rows(self.figures),
            criterion_rows(self.criteria or []),
        ]

    def document(self) -> dict[str, Any]:
        """Return everything as values for JSON."""
        criteria = None if self.criteria is None else [asdict(one) for one in self.criteria]
        return {
            "verdict": self.verdict,
            "criteria": criteria,
            "figures": asdict(self.figures),
            "facts": dict(self.facts),
        }


def machine() -> dict[str, object]:
    """Return a description of the machine."""
    return {
        "cores": os.cpu_count() or 1,
        "processor": platform.machine(),
        "Python": platform.python_version(),
        "NumPy": np.__version__,
    }
