"""Times of the libraries for the numbers that are equal to ours, compared with our times."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.inputs import N_POSITIONS
from benchmarks.libraries.agreements import AGREEMENTS, Agreement
from benchmarks.libraries.run import Libraries
from risk_tasks.model.measures import tail_probability

CONFIDENCE = "0.99"
#: as these libraries are used, and all books in one call if the function takes columns
WAYS = ("each", "together")


class LibraryTimes:
    """The calls with our numbers on a window of `n_days`, in microseconds per book.

    A call that returns all parts of a book counts for one of them, as ours does.
    """

    def __init__(self, process: Libraries, n_days: int) -> None:
        self._process = process
        self.versions: dict[str, str] = {
            name if name != "numpy" else "their numpy": version
            for name, version in process.ask(ask="versions").items()
        }
        calls, alpha = process.ask(ask="calls"), tail_probability(CONFIDENCE)
        self.cost_us: dict[tuple[Agreement, str], list[float]] = {
            (one, way): []
            for one in AGREEMENTS
            for way in WAYS
            if one.call in calls[way] and one.where.holds(n_days, alpha)
        }
        for one, way in self.cost_us:
            self._seconds(one, way)  # imports and compilation

    def measure_once(self) -> None:
        """Time each call once."""
        for (one, way), samples in self.cost_us.items():
            n_answers = N_POSITIONS if one.of_positions else 1
            samples.append(self._seconds(one, way) / n_answers * 1e6)

    def rows(self) -> dict[str, Sequence[float]]:
        return {f"{a.ours} by {a.call}, {way}": us for (a, way), us in self.cost_us.items()}

    def print_against(self, ours_us: Mapping[str, Sequence[float]]) -> None:
        """Print the fastest of each way with our time, and the ratio."""
        print(f"\n{'microseconds per book':<40}{'ours':>9}", end="")
        print("".join(f"{way:>12}{'times':>8}" for way in WAYS) + "  by")
        for label, of_positions in {one.ours: one.of_positions for one, _ in self.cost_us}.items():
            ours, line, callers = statistics.median(ours_us[label]), "", []
            for way in WAYS:
                found = self._fastest(label, way)
                if found:
                    line += f"{found[0]:>12,.2f}{found[0] / ours:>8,.0f}"
                    callers.append(found[1])
                else:
                    line += f"{'-':>12}{'-':>8}"
            shown = label + " (a part)" * of_positions
            print(f"{shown:<40}{ours:>9.3f}{line}  {'; '.join(dict.fromkeys(callers))}")

    def _fastest(self, label: str, way: str) -> tuple[float, str] | None:
        found = [
            (statistics.median(samples), one.call)
            for (one, its_way), samples in self.cost_us.items()
            if one.ours == label and its_way == way
        ]
        return min(found, default=None)

    def _seconds(self, one: Agreement, way: str) -> float:
        question: dict[str, Any] = {"call": one.call, "way": way, "confidence": CONFIDENCE}
        return float(self._process.ask(ask="seconds", **question))
