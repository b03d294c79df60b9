"""Numbers as a risk manager reads them."""

from __future__ import annotations

from risk_tasks.model.registry import Unit
from risk_tasks.model.report import Measure, MeasureStatus

_SCALES = ((1e12, "t"), (1e9, "bn"), (1e6, "m"), (1e3, "k"))


#: stands behind a number that is not what was asked for
DEGRADED_MARK = "*"


def short(value: float, unit: str) -> str:
    """Return `value` in four digits or so: 10.01m, 35.7 %, 1.84x."""
    if unit == Unit.FRACTION:
        return f"{value * 100:.1f} %"
    if unit == Unit.RATIO:
        return f"{value:.2f}x"
    size = abs(value)
    for scale, suffix in _SCALES:
        if size >= scale * 0.9995:
            return f"{value / scale:.{_decimals(size / scale)}f}{suffix}"
    return f"{value:.0f}" if size >= 100 or value == 0 else f"{value:.2f}"


def full(value: float, unit: str) -> str:
    """Return `value` with its separators: 1,662,114; 0.25; 44.2 %; 3.54x."""
    if unit in (Unit.FRACTION, Unit.RATIO):
        return short(value, unit)
    if abs(value) < 100 and round(value, 2) % 1:
        return f"{value:.2f}"
    return f"{round(value) or 0:,}"


def cell(measure: Measure) -> str:
    """Return a measure for a table; a dash with the reason where it is not defined.

    What is degraded has a star: a number, but by a cruder method than was asked for.
    """
    if measure.value is None:
        return f"- {measure.reason or measure.status}".replace("_", " ")
    mark = DEGRADED_MARK if measure.status == MeasureStatus.DEGRADED else ""
    return short(measure.value, measure.unit) + mark


def _decimals(scaled: float) -> int:
    return 2 if scaled < 100 else 1
