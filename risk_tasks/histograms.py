"""Distributions of times as HdrHistograms, which add up over workers without loss.

Times are counted in microseconds from 1 to 3,600,000,000 (an hour) with three significant digits,
so a percentile has an error of at most 0.1 %. Times beyond the bounds are counted at the bound.
"""

from __future__ import annotations

import math

from hdrh.histogram import HdrHistogram
from msgspec import Struct

from risk_tasks.errors import DecodeError

LOWEST_US, HIGHEST_US, DIGITS = 1, 3_600_000_000, 3


class DurationsDocument(Struct, frozen=True):
    """A distribution on the wire: number, sum, and the HdrHistogram in its V2 format."""

    n: int = 0
    sum_s: float = 0.0
    histogram: str = ""


class Durations:
    """A distribution of durations. One thread writes at a time."""

    def __init__(self) -> None:
        self.n = 0
        self.sum_s = 0.0
        self._histogram = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)

    def add(self, seconds: float, n: int = 1) -> None:
        """Count `seconds` `n` times; a negative time, from clocks that differ, counts as zero."""
        seconds = max(seconds, 0.0)
        self.n += n
        self.sum_s += seconds * n
        self._histogram.record_value(min(max(round(seconds * 1e6), LOWEST_US), HIGHEST_US), n)

    @property
    def mean_s(self) -> float | None:
        """Return the exact mean; None without counts."""
        return self.sum_s / self.n if self.n else None

    def percentile_s(self, percent: float) -> float | None:
        """Return the percentile `percent` (above 0, to 100) in seconds; None without counts.

        By nearest rank, and never below it; the library alone would round the rank.
        """
        if not self.n:
            return None
        rank = math.ceil(percent / 100 * self.n)
        return float(self._histogram.get_value_at_percentile(100 * rank / self.n)) / 1e6

    def document(self) -> DurationsDocument:
        if not self.n:
            return DurationsDocument()
        return DurationsDocument(self.n, self.sum_s, self._histogram.encode().decode())

    def merge(self, document: DurationsDocument) -> None:
        """Add the counts of `document`; raises `DecodeError` for an invalid histogram."""
        if not document.n:
            return
        try:
            self._histogram.decode_and_add(document.histogram.encode())
        except Exception as error:  # the library raises what its parts raise
            raise DecodeError(f"A histogram cannot be read: {type(error).__name__}.") from error
        self.n += document.n
        self.sum_s += document.sum_s
