"""A market in the layout that kernels read: returns, scenarios, random streams and covariance."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from threading import Lock

import numpy as np
import numpy.typing as npt

from risk_tasks.engine.block import PortfolioBlock
from risk_tasks.engine.calendars import Calendars
from risk_tasks.errors import InvalidSettingsError
from risk_tasks.model.calendar import IntArray
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.measures import MeasureSettings, Precision
from risk_tasks.model.quality import DataFinding
from risk_tasks.model.scenario import Replay, Scenario

FloatArray = npt.NDArray[np.float64]

#: an eigenvalue that is less negative, relative to the largest, is rounding
_ROUNDING = 1e-12
#: a covariance that needs a larger repair is refused
_LARGEST_REPAIR = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class GivenCovariance:
    """A supplied covariance `matrix` (n, n), per day, without negative eigenvalues up to rounding.

    `repair` is the size of the correction relative to the Frobenius norm.
    """

    matrix: FloatArray
    repair: float

    @property
    def is_refused(self) -> bool:
        """Whether the correction is so large that no measure may use the matrix."""
        return self.repair > _LARGEST_REPAIR

    def of_instruments(self, instruments: npt.NDArray[np.int64]) -> GivenCovariance:
        """Return the covariance of `instruments` (m,), with the repair of the whole."""
        matrix = self.matrix[np.ix_(instruments, instruments)]
        return GivenCovariance(np.ascontiguousarray(matrix), self.repair)

    @classmethod
    def of(cls, covariance: FloatArray) -> GivenCovariance:
        """Repair `covariance` (n, n), symmetric, if it has negative eigenvalues.

        They are set to 0, and rows and columns are scaled to their former standard deviations.
        Source: Rebonato, Jäckel, "The most general methodology to create a valid correlation matrix
        for risk management and option pricing purposes", Journal of Risk 2 (1999).
        """
        size = float(np.abs(covariance).max(initial=0.0))
        if size == 0.0:
            return cls(np.array(covariance, order="C"), 0.0)
        scaled = covariance / size
        scaled = 0.5 * scaled + 0.5 * scaled.T
        eigenvalues, vectors = np.linalg.eigh(scaled)
        if eigenvalues[0] >= -_ROUNDING * eigenvalues[-1]:
            return cls(np.array(covariance, order="C"), 0.0)
        root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
        length = np.sqrt((root * root).sum(axis=1))
        deviation = np.sqrt(scaled.diagonal())
        root *= (deviation / np.where(length > 0.0, length, 1.0))[:, None]
        repaired = root @ root.T
        np.fill_diagonal(repaired, scaled.diagonal())
        moved = float(np.linalg.norm(scaled - repaired) / np.linalg.norm(scaled))
        return cls(repaired * size, moved)


Panel = npt.NDArray[np.float64] | npt.NDArray[np.float32]

#: the largest number of derived panels that are kept; each is as large as its source
_MOST = 4


class DerivedPanels:
    """The most recently used panels derived from one panel; shared by markets and by threads."""

    def __init__(self, panel: npt.NDArray[np.float64]) -> None:
        self._panel = panel
        self._made: OrderedDict[tuple[Precision, int], Panel] = OrderedDict()
        self._lock = Lock()

    def get(self, precision: Precision, days: int) -> Panel:
        """Return the returns (n, T - days + 1) over `days` consecutive days, one for each last day.

        They are sums of one-day returns in float64; NaN if one is missing.
        """
        if precision is Precision.FLOAT64 and days == 1:
            return self._panel
        with self._lock:
            made = self._made.pop((precision, days), None)
            if made is None:
                made = self._make(precision, days)
            self._made[precision, days] = made
            if len(self._made) > _MOST:
                self._made.popitem(last=False)
            return made

    @property
    def of_days(self) -> npt.NDArray[np.float64]:
        """The returns (n, T) from one row to the next."""
        return self._panel

    @cached_property
    def first_returns(self) -> npt.NDArray[np.int64]:
        """(n,): the index of the first return of each instrument, T without any return."""
        present = ~np.isnan(self._panel)
        first: npt.NDArray[np.int64] = present.argmax(axis=1)
        return np.where(present.any(axis=1), first, self._panel.shape[1])

    def _make(self, precision: Precision, days: int) -> Panel:
        with np.errstate(over="ignore", invalid="ignore"):
            total = _sums(self._panel, days)
            return total if precision is Precision.FLOAT64 else total.astype(np.float32)


def _sums(panel: npt.NDArray[np.float64], days: int) -> npt.NDArray[np.float64]:
    """Sum by halves: a year takes eight additions."""
    if days == 1:
        return panel
    half, width = days // 2, max(0, panel.shape[1] - days + 1)
    sums = _sums(panel, half)
    total: npt.NDArray[np.float64] = sums[:, :width] + sums[:, half : half + width]
    return total + panel[:, days - 1 : days - 1 + width] if days % 2 else total


BoolArray = npt.NDArray[np.bool_]
DateArray = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class ShockArrays:
    """One scenario over all instruments.

    `change` (n,) is a fraction of an instrument's value or, if `absolute` (n,) is true, base
    currency per unit; NaN if it has no change. `absolute` is None if no change is absolute.
    `named` (n,) marks the instruments that the scenario names, by name or tag, or that a replay
    covers. `covered` (n,) marks those with a change that is not the fallback of a replay; the
    fallback is used only if at least `min_coverage` of a portfolio's gross exposure is covered.
    """

    change: FloatArray
    named: BoolArray
    covered: BoolArray
    absolute: BoolArray | None = None
    min_coverage: float = 1.0

    def of(self, instruments: IntArray) -> ShockArrays:
        """Return the scenario over `instruments` (m,)."""
        absolute = None if self.absolute is None else self.absolute[instruments]
        return ShockArrays(
            self.change[instruments],
            self.named[instruments],
            self.covered[instruments],
            absolute,
            self.min_coverage,
        )


def lay_out(snapshot: MarketSnapshot, dates: DateArray | None) -> dict[str, ShockArrays]:
    """Return the scenarios of `snapshot` by name; `dates` (T,) are those of its observations."""
    return {
        name: _replayed(scenario, snapshot, dates)
        if isinstance(scenario, Replay)
        else _shocked(scenario, snapshot)
        for name, scenario in snapshot.scenarios.items()
    }


def _shocked(scenario: Scenario, snapshot: MarketSnapshot) -> ShockArrays:
    n, index = len(snapshot.instruments), snapshot.index
    change = np.full(n, np.nan if scenario.others is None else scenario.others)
    named, absolute = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    relative: Mapping[str, float] = {**scenario.tagged(snapshot.tags), **scenario.shocks}
    for changes, is_absolute in ((relative, False), (scenario.moves, True)):
        for instrument, by in changes.items():
            if instrument in index:
                i = index[instrument]
                change[i], named[i], absolute[i] = by, True, is_absolute
    return ShockArrays(change, named, ~np.isnan(change), absolute if absolute.any() else None)


def _replayed(replay: Replay, snapshot: MarketSnapshot, dates: DateArray | None) -> ShockArrays:
    returns = snapshot.returns
    if snapshot.has_calendars:
        returns = _with_closed_rows(snapshot, dates, replay)
    change = window_returns(returns, dates, replay.start, replay.end)
    covered = ~np.isnan(change)
    if replay.others is not None:
        change[~covered] = replay.others
    return ShockArrays(change, covered, covered, min_coverage=replay.min_coverage)


def _with_closed_rows(
    snapshot: MarketSnapshot, dates: DateArray | None, replay: Replay
) -> FloatArray:
    """Return the returns with 0 where an instrument did not trade, if it does in the window."""
    returns, rows = snapshot.returns, np.arange(snapshot.n_observations)[:, None]
    if dates is None:
        return returns
    within = (dates >= np.datetime64(replay.start)) & (dates <= np.datetime64(replay.end))
    trades = ~np.isnan(returns[within]).all(axis=0)
    closed = np.isnan(returns) & (rows > snapshot.first_price_rows) & trades
    return np.where(closed, 0.0, returns)


def window_returns(
    returns: FloatArray, dates: DateArray | None, start: date, end: date
) -> FloatArray:
    """Return prod(1 + r) - 1 of each instrument over the observations from `start` to `end`.

    `returns` has shape (T, n), `dates` (T,), the result (n,). It is NaN if a return is
    missing or the product overflows, and for every instrument if there is no observation or the
    dates do not include `start` and `end`.
    """
    grown = np.full(returns.shape[1], np.nan)
    first, last = np.datetime64(start), np.datetime64(end)
    if dates is None or not dates.size or first < dates[0] or last > dates[-1]:
        return grown
    within = returns[np.searchsorted(dates, first) : np.searchsorted(dates, last, side="right")]
    if len(within):
        grown[:] = 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        # Row by row, because NumPy does not specify the order of a reduction.
        for row in within:
            grown *= 1.0 + row
    return np.where(np.isfinite(grown), grown - 1.0, np.nan)


def streams_of(instruments: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return the random stream of each instrument: the first 64 bits of SHA-256 of its name."""
    digests = b"".join(hashlib.sha256(name.encode()).digest()[:8] for name in instruments)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _by_instrument(snapshot: MarketSnapshot) -> dict[int, tuple[DataFinding, ...]]:
    found: dict[int, tuple[DataFinding, ...]] = {}
    for finding in snapshot.findings:
        index = snapshot.index.get(finding.instrument or "")
        if index is not None:
            found[index] = (*found.get(index, ()), finding)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class MarketArrays:
    """A market as a worker keeps it in memory.

    `prices` (n,); `panel` (n, T), one row of returns per instrument, so that a position reads
    contiguous memory; `largest_return` bounds |r|.
    """

    id: str
    panel_id: str
    as_of: datetime
    index: Mapping[str, int]
    prices: npt.NDArray[np.float64]
    panel: npt.NDArray[np.float64]
    largest_return: float
    #: panels derived from `panel` on demand, shared like `panel`
    derived: DerivedPanels
    scenarios: Mapping[str, ShockArrays]
    #: (n,), the random stream of each instrument
    streams: npt.NDArray[np.uint64]
    covariance: GivenCovariance | None
    #: (T,), the date of each observation; None if unknown
    dates: DateArray | None
    #: which instruments trade on which rows; None if every portfolio has the same rows
    calendars: Calendars | None
    #: the returns that a portfolio should have; None for all rows on which it trades
    window_days: int | None
    #: the trading days of one return
    row_days: int
    #: what looks wrong in the data, by the index of the instrument
    findings: Mapping[int, tuple[DataFinding, ...]]
    #: `findings` without their details, for tables
    bare_findings: Mapping[int, tuple[DataFinding, ...]]
    #: (n,), whether an instrument has a finding; None if none has
    is_doubtful: BoolArray | None

    @classmethod
    def of(cls, snapshot: MarketSnapshot, *, like: MarketArrays | None = None) -> MarketArrays:
        """Lay out `snapshot`; share the arrays of `like` if it has the same panel."""
        if like is not None and like.panel_id == snapshot.panel_id:
            panel, largest, derived = like.panel, like.largest_return, like.derived
            streams, covariance = like.streams, like.covariance
            calendars = like.calendars
        else:
            # A copy, because kernels are not compiled for read-only panels.
            panel = np.array(snapshot.returns.T, order="C")
            largest = float(np.nanmax(np.abs(panel), initial=0.0))
            derived = DerivedPanels(panel)
            calendars = Calendars.of(snapshot)
            streams = streams_of(snapshot.instruments)
            given = snapshot.covariance
            covariance = None if given is None else GivenCovariance.of(given)
        dates = None if snapshot.dates is None else np.array(snapshot.dates, dtype="datetime64[D]")
        findings = _by_instrument(snapshot)
        is_doubtful = None
        if findings:
            is_doubtful = np.zeros(len(snapshot.instruments), dtype=np.bool_)
            is_doubtful[list(findings)] = True
        return cls(
            id=snapshot.id,
            panel_id=snapshot.panel_id,
            as_of=snapshot.as_of,
            index=snapshot.index,
            prices=snapshot.prices,
            panel=panel,
            largest_return=largest,
            derived=derived,
            scenarios=lay_out(snapshot, dates),
            streams=streams,
            covariance=covariance,
            dates=dates,
            calendars=calendars,
            window_days=snapshot.window_days,
            row_days=snapshot.row_days,
            findings=findings,
            bare_findings={
                index: tuple(replace(one, detail="") for one in of_it)
                for index, of_it in findings.items()
            },
            is_doubtful=is_doubtful,
        )

    def in_rows(self, settings: MeasureSettings) -> MeasureSettings:
        """Return `settings` with the horizon as a number of rows.

        Raises `InvalidSettingsError` if it is not a multiple of the days of a row.
        """
        if self.row_days == 1:
            return settings
        n_rows, rest = divmod(settings.horizon_days, self.row_days)
        if rest:
            raise InvalidSettingsError(
                f"horizon_days is {settings.horizon_days}, but a row of this market is "
                f"{self.row_days} trading days.",
                field="horizon_days",
                remedy=f"Give a multiple of {self.row_days}, or publish daily prices.",
            )
        return replace(settings, horizon_days=n_rows)

    def panel_for(self, settings: MeasureSettings) -> Panel:
        """Return the returns over the days of one outcome, in the precision of `settings`."""
        return self.derived.get(Precision(settings.precision), settings.outcome_days)

    def values(self, block: PortfolioBlock) -> FloatArray:
        """Return V (N,), the signed value of each position, base currency; infinite on overflow."""
        with np.errstate(over="ignore"):
            return block.quantity * self.prices[block.instrument]

    def since(self, start: int) -> str:
        """Return the words for returns that start at the observation with the index `start`."""
        if start >= self.n_observations:
            return "no returns"
        on = f"observation {start}" if self.dates is None else str(self.dates[start])
        return f"returns since {on}"

    @property
    def n_observations(self) -> int:
        return int(self.panel.shape[1])
