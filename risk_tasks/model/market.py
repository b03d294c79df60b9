"""A market snapshot: prices, returns, scenarios and tags of instruments."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import chain, pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.calendar import Align, first_price_rows, is_aligned
from risk_tasks.model.labels import (
    aligned_columns,
    aligned_rows,
    aligned_square,
    dates_of,
)
from risk_tasks.model.quality import DataFinding
from risk_tasks.model.scenario import Replay, Scenario, Stress, Tags, is_date
from risk_tasks.model.values import (
    folded,
    require_choice,
    require_mapping,
    require_name,
    require_whole,
)

FloatArray2D = npt.NDArray[np.float64]

#: the largest difference of two symmetric entries, as a share of the larger one
_ASYMMETRY = 1e-12


def check_covariance(covariance: FloatArray2D, instruments: Sequence[str]) -> None:
    """Raise `InvalidMarketError` unless `covariance` is finite, symmetric, and (n, n).

    Negative eigenvalues are accepted: the worker repairs the matrix and reports the repair.
    """
    n = len(instruments)
    if covariance.shape != (n, n):
        raise InvalidMarketError(
            f"The covariance has shape {covariance.shape}: expected {(n, n)}.",
            field="covariance",
            remedy="Give one row and one column per instrument.",
        )
    finite = np.isfinite(covariance)
    if not finite.all():
        name = instruments[int(np.argmin(finite.all(axis=1)))]
        raise InvalidMarketError(
            f"A covariance of {name} is not a finite number.",
            field=f"covariance[{name!r}]",
            remedy="Give finite numbers only.",
        )
    negative = covariance.diagonal() < 0.0
    if negative.any():
        row = int(np.argmax(negative))
        raise InvalidMarketError(
            f"The variance of {instruments[row]} is {covariance[row, row]:g}: expected 0 or more.",
            field=f"covariance[{instruments[row]!r}]",
            remedy="Correct the diagonal of the covariance.",
        )
    largest = np.maximum(np.abs(covariance), np.abs(covariance.T))
    # Halves, because the difference of two large finite numbers can overflow.
    uneven = np.abs(0.5 * covariance - 0.5 * covariance.T) > 0.5 * _ASYMMETRY * largest
    if uneven.any():
        row, column = map(int, np.argwhere(uneven)[0])
        raise InvalidMarketError(
            f"The two covariances of {instruments[row]} and {instruments[column]} differ.",
            field=f"covariance[{instruments[row]!r}]",
            remedy="Give a symmetric matrix, such as the mean of the matrix and its transpose.",
        )


FloatArray1D = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EarlierPrice:
    """A former price of an instrument, in base currency per unit, and its moment."""

    price: float
    as_of: datetime


@dataclass(frozen=True, eq=False)
class MarketSnapshot:
    """Prices and past returns at one moment.

    `prices` has shape (n,), in base currency per unit. `returns` has shape (observations, n),
    simple returns, oldest first. NaN means a missing return; portfolios that hold the instrument
    skip that observation. `as_of` needs a time zone and is converted to UTC. `covariance` (n, n) is
    of one-day returns; if it is given, the Monte Carlo measures use it instead of the sample's.

    `prices`, `returns` and `covariance` are arrays in the order of `instruments`, or frames, series
    or mappings with labels, which are aligned by their labels. If `returns` has an index of dates,
    `dates` may be left out.

    With `align="common"`, NaN after the first price means that the instrument did not trade, and
    the next return spans the days since its last price. A portfolio is then computed on the dates
    on which all its instruments trade, on the last `window_days` of them if given; returns over
    more than `max_gap_days` calendar days are dropped. `first_dates` (n,) has the date of the first
    price of each instrument, by default that of the row before its first return. A row is
    `row_days` trading days: 5 for weekly prices, 21 for monthly ones.

    `window_days` is also the number of returns that a portfolio should have: with far fewer its
    window is short. It may exceed the number of rows.

    `dates` has the date of each observation, ascending: the date of the later price of the return.
    If it is None, no scenario may be a `Replay`. `tags` has tags by instrument, as
    {"AAPL": {"sector": "technology"}}, for scenarios with shocks by tag. `findings` has what looks
    wrong in the data; `earlier_prices` has the prices with which the screening compares those of
    `publish_prices`. Neither changes a number, and neither is part of `id`.

    Raises `InvalidMarketError` with the field.
    """

    as_of: datetime
    instruments: Sequence[str]
    prices: FloatArray1D
    returns: FloatArray2D
    covariance: FloatArray2D | None = field(default=None, kw_only=True)
    scenarios: Mapping[str, Stress] = field(default_factory=dict, kw_only=True)
    dates: Sequence[date] | None = field(default=None, kw_only=True)
    tags: Tags = field(default_factory=dict, kw_only=True)
    findings: tuple[DataFinding, ...] = field(default=(), kw_only=True)
    earlier_prices: Mapping[str, EarlierPrice] = field(default_factory=dict, kw_only=True)
    align: Align | str = field(default=Align.DROP, kw_only=True)
    window_days: int | None = field(default=None, kw_only=True)
    max_gap_days: int | None = field(default=None, kw_only=True)
    first_dates: Sequence[date] | None = field(default=None, kw_only=True)
    row_days: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.as_of, datetime) or self.as_of.tzinfo is None:
            raise InvalidMarketError(
                f"as_of is {self.as_of!r}: expected a datetime with a time zone.",
                field="as_of",
                remedy="Add the time zone, such as tzinfo=UTC.",
            )
        instruments = _instruments(self.instruments)
        prices = _prices(aligned_rows(self.prices, instruments, "prices"), instruments)
        returns = _returns(aligned_columns(self.returns, instruments, "returns"), instruments)
        dates = _dates(dates_of(self.returns, self.dates), len(returns))
        tags = _tags(self.tags, instruments)
        for name, scenario in self.scenarios.items():
            _check_scenario(name, scenario, instruments, dates, tags)
        object.__setattr__(self, "covariance", _covariance(self.covariance, instruments))
        object.__setattr__(self, "as_of", self.as_of.astimezone(UTC))
        object.__setattr__(self, "instruments", instruments)
        object.__setattr__(self, "prices", prices)
        object.__setattr__(self, "returns", returns)
        object.__setattr__(self, "scenarios", MappingProxyType(dict(self.scenarios)))
        object.__setattr__(self, "dates", dates)
        object.__setattr__(self, "tags", tags)
        object.__setattr__(self, "earlier_prices", MappingProxyType(dict(self.earlier_prices)))
        self._check_calendar()

    def _check_calendar(self) -> None:
        align = require_choice(self.align, Align, "align", InvalidMarketError)
        object.__setattr__(self, "align", align)
        # A window of at least all rows does not leave any out, so "drop" may have it.
        for name, least in (("window_days", self.n_observations), ("max_gap_days", float("inf"))):
            days = getattr(self, name)
            if days is None:
                continue
            require_whole(days, name, InvalidMarketError, least=1)
            if align is Align.DROP and days < least:
                raise InvalidMarketError(
                    f"{name} is {days}, but align is 'drop'.",
                    field=name,
                    remedy='Give align="common", or give only the returns that are used.',
                )
        require_whole(self.row_days, "row_days", InvalidMarketError, least=1)
        if self.first_dates is not None:
            first = tuple(self.first_dates)
            if len(first) != len(self.instruments) or not all(map(is_date, first)):
                raise InvalidMarketError(
                    f"first_dates is {first!r}: expected one date for each instrument.",
                    field="first_dates",
                    remedy="Give the date of the first price of each instrument, or leave it out.",
                )
            object.__setattr__(self, "first_dates", first)

    @cached_property
    def first_price_rows(self) -> npt.NDArray[np.int64]:
        """(n,): the row of `returns` with the first price; -1 if the price is before all rows."""
        return first_price_rows(self.returns, self.dates, self.first_dates)

    @cached_property
    def has_calendars(self) -> bool:
        """Whether portfolios may be computed on different rows, for what they hold."""
        if self.align is not Align.COMMON:
            return False
        is_cut = self.window_days is not None and self.window_days < self.n_observations
        return is_cut or not is_aligned(
            self.returns, self.first_price_rows, self.price_dates, self.max_gap_days
        )

    @cached_property
    def price_dates(self) -> tuple[date, ...] | None:
        """(T + 1,): the date before all rows, and those of rows; None without dates.

        Without an earlier date in `first_dates` the first is that of the first row.
        """
        if not self.dates:
            return None
        return (min(*(self.first_dates or self.dates), self.dates[0]), *self.dates)

    @property
    def n_observations(self) -> int:
        return int(self.returns.shape[0])

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The index of each instrument in `prices` and in the columns of `returns`."""
        return {name: i for i, name in enumerate(self.instruments)}

    @cached_property
    def panel_id(self) -> str:
        """SHA-256 of returns, covariance and calendars; new prices do not change it."""
        digest = hashlib.sha256(json.dumps(self.instruments).encode())
        digest.update(str(self.returns.shape).encode())
        digest.update(self.returns.tobytes())
        if self.covariance is not None:
            digest.update(b"covariance")
            digest.update(self.covariance.tobytes())
        if self.dates is not None:
            digest.update(json.dumps([day.isoformat() for day in self.dates]).encode())
        # What changes no number is not part of the id, so that plain markets keep theirs.
        terms: list[object] = []
        if self.has_calendars:
            first = [day.isoformat() for day in self.first_dates or ()]
            terms += ["calendars", self.window_days, self.max_gap_days, first]
        elif self.window_days is not None and self.window_days > self.n_observations:
            terms += ["window_days", self.window_days]
        if self.row_days != 1:
            terms += ["row_days", self.row_days]
        if terms:
            digest.update(json.dumps(terms).encode())
        return digest.hexdigest()

    @cached_property
    def id(self) -> str:
        """SHA-256 of all inputs of the measures in this snapshot."""
        scenarios = {name: of.content for name, of in sorted(self.scenarios.items())}
        head: list[object] = [self.panel_id, self.as_of.isoformat(), scenarios]
        if self.tags:
            head.append({"tags": [(i, sorted(of.items())) for i, of in sorted(self.tags.items())]})
        digest = hashlib.sha256(json.dumps(head).encode())
        digest.update(self.prices.tobytes())
        return digest.hexdigest()

    def with_prices(self, prices: FloatArray1D, *, as_of: datetime) -> MarketSnapshot:
        """Return the snapshot with new prices and the same returns."""
        marked = replace(self, as_of=as_of, prices=prices, earlier_prices={})
        marked.__dict__["panel_id"] = self.panel_id
        return marked

    def with_remarks(
        self, findings: Iterable[DataFinding], earlier_prices: Mapping[str, EarlierPrice]
    ) -> MarketSnapshot:
        """Return the snapshot with these findings and earlier prices, and the same id."""
        remarked = copy(self)
        object.__setattr__(remarked, "findings", tuple(findings))
        object.__setattr__(remarked, "earlier_prices", MappingProxyType(dict(earlier_prices)))
        return remarked


def _array(numbers: npt.ArrayLike, field: str) -> npt.NDArray[np.float64]:
    try:
        array = np.array(_plain(numbers), dtype=np.float64, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidMarketError(
            f"{field} is not an array of numbers: {error}.",
            field=field,
            remedy="Give an array of numbers, such as a NumPy array of float64.",
        ) from error
    array.flags.writeable = False
    return array


def _plain(numbers: npt.ArrayLike) -> npt.ArrayLike:
    """Return `numbers` with NaN where a masked array has no value.

    Raises `TypeError` for what NumPy would read as other numbers: True as 1, 1 + 2j as 1.
    """
    kind = np.asarray(numbers).dtype.kind
    if kind in "bc":
        raise TypeError(f"it has {'booleans' if kind == 'b' else 'complex numbers'}")
    if isinstance(numbers, np.ma.MaskedArray):
        return np.where(np.ma.getmaskarray(numbers), np.nan, np.ma.getdata(numbers))
    return numbers


def _instruments(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str | set | frozenset):
        raise InvalidMarketError(
            f"instruments is a {type(names).__name__}: expected a list, whose order is that of "
            "prices and returns.",
            field="instruments",
            remedy="Give a list of names.",
        )
    instruments = tuple(names)
    for name in instruments:
        require_name(name, "instruments", InvalidMarketError)
    if len(set(instruments)) != len(instruments):
        twice = next(name for name in instruments if instruments.count(name) > 1)
        raise InvalidMarketError(
            f"{twice} appears twice.",
            field="instruments",
            remedy="List each instrument once.",
        )
    return instruments


def _prices(given: npt.ArrayLike, instruments: Sequence[str]) -> FloatArray1D:
    prices = _array(given, "prices")
    if prices.shape != (len(instruments),):
        raise InvalidMarketError(
            f"prices has shape {prices.shape}: expected ({len(instruments)},).",
            field="prices",
            remedy="Give one price per instrument.",
        )
    if not np.isfinite(prices).all():
        name = instruments[int(np.argmin(np.isfinite(prices)))]
        raise InvalidMarketError(
            f"The price of {name} is not a finite number.",
            field=f"prices[{name!r}]",
            remedy="Give a finite price, or remove the instrument.",
        )
    return prices


def _returns(given: npt.ArrayLike, instruments: Sequence[str]) -> FloatArray2D:
    returns = _array(given, "returns")
    if returns.ndim != 2 or returns.shape[1] != len(instruments):
        raise InvalidMarketError(
            f"returns has shape {returns.shape}: expected (observations, {len(instruments)}).",
            field="returns",
            remedy="Give one column per instrument.",
        )
    if np.isinf(returns).any():
        name = instruments[int(np.argmax(np.isinf(returns).any(axis=0)))]
        raise InvalidMarketError(
            f"A return of {name} is infinite.",
            field=f"returns[{name!r}]",
            remedy="Give NaN for a missing return.",
        )
    below = returns < -1.0
    if below.any():
        row, column = map(int, np.argwhere(below)[0])
        name = instruments[column]
        raise InvalidMarketError(
            f"The return {returns[row, column]:g} of {name} in row {row} is below -1, a loss of"
            " more than the whole price.",
            field=f"returns[{name!r}]",
            remedy="Give simple returns as fractions, such as -0.3 for -30 %.",
        )
    return returns


def _covariance(given: npt.ArrayLike | None, instruments: Sequence[str]) -> FloatArray2D | None:
    if given is None:
        return None
    covariance = _array(aligned_square(given, instruments, "covariance"), "covariance")
    check_covariance(covariance, instruments)
    return covariance


def _dates(dates: Sequence[date] | None, n_observations: int) -> tuple[date, ...] | None:
    if dates is None:
        return None
    try:
        days = tuple(dates)
    except TypeError as error:
        raise InvalidMarketError(
            f"{dates!r} is not a list of dates.",
            field="dates",
            remedy="Give one datetime.date per row of returns, or leave dates out.",
        ) from error
    if len(days) != n_observations:
        raise InvalidMarketError(
            f"dates has {len(days)} entries: expected {n_observations}, one per row of returns.",
            field="dates",
            remedy="Give one date per row, or leave dates out.",
        )
    for row, day in enumerate(days):
        if not is_date(day):
            raise InvalidMarketError(
                f"{day!r} is not a date.",
                field=f"dates[{row}]",
                remedy="Give a datetime.date without a time.",
            )
    for row, (before, day) in enumerate(pairwise(days), start=1):
        if day <= before:
            raise InvalidMarketError(
                f"{day} is not after {before}.",
                field=f"dates[{row}]",
                remedy="Sort the rows by date, with one row per date.",
            )
    return days


def _tags(tags: Tags, instruments: Sequence[str]) -> Tags:
    known, checked = set(instruments), {}
    for instrument, carried in require_mapping(tags, "tags", InvalidMarketError).items():
        field = f"tags[{instrument!r}]"
        if instrument not in known:
            raise InvalidMarketError(
                f"{instrument} is not an instrument of the market.",
                field=field,
                remedy="Remove its tags, or add the instrument to the market.",
            )
        for text in chain.from_iterable(
            require_mapping(carried, field, InvalidMarketError).items()
        ):
            require_name(text, field, InvalidMarketError)
        if carried:
            checked[instrument] = MappingProxyType(dict(carried))
    return MappingProxyType(checked)


def _check_scenario(
    name: str,
    scenario: Stress,
    instruments: Sequence[str],
    dates: Sequence[date] | None,
    tags: Tags,
) -> None:
    field = f"scenarios[{name!r}]"
    if not isinstance(name, str) or not name or not isinstance(scenario, Stress):
        raise InvalidMarketError(
            f"{scenario!r} is not a scenario with a name: expected a Scenario or a Replay.",
            field=field,
            remedy="Give a mapping of name to Scenario or Replay.",
        )
    if isinstance(scenario, Replay):
        if dates is None:
            raise InvalidMarketError(
                "The scenario is a Replay, but the market has no dates.",
                field=field,
                remedy="Give dates, one per row of returns.",
            )
        return
    try:
        scenario.tagged(tags)
    except InvalidMarketError as error:
        error.field = f"{field}.{error.field}"
        raise
    _check_case(field, scenario, instruments, tags)


def _check_case(field: str, scenario: Scenario, instruments: Sequence[str], tags: Tags) -> None:
    """Refuse a name in another case than in the market: its shock would apply to nothing.

    Names that the market does not have in any case are accepted, for scenarios of many markets.
    """
    values_by_tag: dict[str, set[str]] = {}
    for tag, value in chain.from_iterable(one.items() for one in tags.values()):
        values_by_tag.setdefault(tag, set()).add(value)
    _check_names(f"{field}.shocks", scenario.shocks, instruments)
    _check_names(f"{field}.moves", scenario.moves, instruments)
    _check_names(f"{field}.by_tag", scenario.by_tag, values_by_tag)
    for tag, values in scenario.by_tag.items():
        _check_names(f"{field}.by_tag[{tag!r}]", values, values_by_tag.get(tag, ()))


def _check_names(field: str, names: Iterable[str], known: Collection[str]) -> None:
    unknown = set(names).difference(known)
    known_by_folded = {folded(name): name for name in known} if unknown else {}
    for name in sorted(unknown):
        near = known_by_folded.get(folded(name))
        if near is not None:
            raise InvalidMarketError(
                f"The market has {near!r}, not {name!r}.",
                field=f"{field}[{name!r}]",
                remedy="Give the name as in the market.",
            )
