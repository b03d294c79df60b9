"""A market snapshot: prices, returns, scenarios and tags of instruments."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.scenario import Replay, Stress, Tags, is_date
from risk_tasks.model.values import is_name

FloatArray2D = npt.NDArray[np.float64]

#: how far two entries that mirror each other may differ, as a share of the larger
_ASYMMETRY = 1e-12


def check_covariance(covariance: FloatArray2D, instruments: Sequence[str]) -> None:
    """Raise `InvalidMarketError` unless this is a covariance of one-day returns of the instruments.

    Negative eigenvalues are accepted: a worker repairs them and reports it.
    """
    n = len(instruments)
    if covariance.shape != (n, n):
        raise InvalidMarketError(
            f"{n} instruments, but a covariance of shape {covariance.shape}.", field="covariance"
        )
    finite = np.isfinite(covariance)
    if not finite.all():
        name = instruments[int(np.argmin(finite.all(axis=1)))]
        raise InvalidMarketError("A covariance is not finite.", field=f"covariance[{name!r}]")
    negative = covariance.diagonal() < 0.0
    if negative.any():
        name = instruments[int(np.argmax(negative))]
        raise InvalidMarketError("A variance is below 0.", field=f"covariance[{name!r}]")
    largest = np.maximum(np.abs(covariance), np.abs(covariance.T))
    # By halves, since the difference of two finite numbers need not be finite.
    uneven = np.abs(0.5 * covariance - 0.5 * covariance.T) > 0.5 * _ASYMMETRY * largest
    if uneven.any():
        row, column = map(int, np.argwhere(uneven)[0])
        raise InvalidMarketError(
            f"The covariances of {instruments[row]} and {instruments[column]} differ.",
            field=f"covariance[{instruments[row]!r}]",
            remedy="Give a symmetric matrix: the mean of it and its transpose.",
        )


FloatArray1D = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MarketSnapshot:
    """Prices and the panel of past returns, at one moment.

    `prices` has shape (n,), in base currency per unit. `returns` has shape (observations, n),
    simple returns, oldest first; NaN marks a missing one, which drops that observation for the
    portfolios that hold the instrument. `as_of` is aware and kept in UTC. `covariance` (n, n), of
    one-day returns, is read by the Monte Carlo measures instead of the sample's where it is given.

    `dates` has the date of each observation, that of the price at its end, ascending; None where
    they are not known, and then no scenario is a `Replay`. `tags` has tags by instrument, as
    {"AAPL": {"sector": "technology"}}, for the scenarios that shock by tag.

    Raises `InvalidMarketError` naming the field.
    """

    as_of: datetime
    instruments: Sequence[str]
    prices: FloatArray1D
    returns: FloatArray2D
    covariance: FloatArray2D | None = field(default=None, kw_only=True)
    scenarios: Mapping[str, Stress] = field(default_factory=dict, kw_only=True)
    dates: Sequence[date] | None = field(default=None, kw_only=True)
    tags: Tags = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        instruments = tuple(self.instruments)
        if not isinstance(self.as_of, datetime) or self.as_of.tzinfo is None:
            raise InvalidMarketError("as_of needs a time zone.", field="as_of")
        if not all(is_name(name) for name in instruments):
            raise InvalidMarketError("Instruments are texts, not empty.", field="instruments")
        if len(set(instruments)) != len(instruments):
            twice = next(name for name in instruments if instruments.count(name) > 1)
            raise InvalidMarketError(f"{twice} stands twice.", field="instruments")
        prices, returns = _array(self.prices, "prices"), _array(self.returns, "returns")
        if prices.shape != (len(instruments),):
            raise InvalidMarketError(
                f"{len(instruments)} instruments, but prices of shape {prices.shape}.",
                field="prices",
            )
        if returns.ndim != 2 or returns.shape[1] != len(instruments):
            raise InvalidMarketError(
                f"{len(instruments)} instruments, but returns of shape {returns.shape}.",
                field="returns",
            )
        if not np.isfinite(prices).all():
            name = instruments[int(np.argmin(np.isfinite(prices)))]
            raise InvalidMarketError("A price is not finite.", field=f"prices[{name!r}]")
        if np.isinf(returns).any():
            name = instruments[int(np.argmax(np.isinf(returns).any(axis=0)))]
            raise InvalidMarketError("A return is infinite.", field=f"returns[{name!r}]")
        dates, tags = _dates(self.dates, len(returns)), _tags(self.tags, instruments)
        for name, scenario in self.scenarios.items():
            _check_scenario(name, scenario, dates, tags)
        object.__setattr__(self, "covariance", _covariance(self.covariance, instruments))
        object.__setattr__(self, "as_of", self.as_of.astimezone(UTC))
        object.__setattr__(self, "instruments", instruments)
        object.__setattr__(self, "prices", prices)
        object.__setattr__(self, "returns", returns)
        object.__setattr__(self, "scenarios", MappingProxyType(dict(self.scenarios)))
        object.__setattr__(self, "dates", dates)
        object.__setattr__(self, "tags", tags)

    @property
    def n_observations(self) -> int:
        return int(self.returns.shape[0])

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The index of each instrument in `prices` and in the columns of `returns`."""
        return {name: place for place, name in enumerate(self.instruments)}

    @cached_property
    def panel_id(self) -> str:
        """SHA-256 of instruments, returns, covariance and dates: what new marks leave as it is."""
        digest = hashlib.sha256(json.dumps(self.instruments).encode())
        digest.update(str(self.returns.shape).encode())
        digest.update(self.returns.tobytes())
        if self.covariance is not None:
            digest.update(b"covariance")
            digest.update(self.covariance.tobytes())
        if self.dates is not None:
            digest.update(json.dumps([day.isoformat() for day in self.dates]).encode())
        return digest.hexdigest()

    @cached_property
    def id(self) -> str:
        """SHA-256 of everything that a number computed on this snapshot depends on."""
        scenarios = {name: of.content for name, of in sorted(self.scenarios.items())}
        head: list[object] = [self.panel_id, self.as_of.isoformat(), scenarios]
        if self.tags:
            head.append({"tags": [(i, sorted(of.items())) for i, of in sorted(self.tags.items())]})
        digest = hashlib.sha256(json.dumps(head).encode())
        digest.update(self.prices.tobytes())
        return digest.hexdigest()

    def with_prices(self, prices: FloatArray1D, *, as_of: datetime) -> MarketSnapshot:
        """Return new marks on the same return panel."""
        marked = replace(self, as_of=as_of, prices=prices)
        marked.__dict__["panel_id"] = self.panel_id
        return marked


def _array(numbers: npt.ArrayLike, place: str) -> npt.NDArray[np.float64]:
    try:
        array = np.array(numbers, dtype=np.float64, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidMarketError(f"Not an array of numbers: {error}.", field=place) from error
    array.flags.writeable = False
    return array


def _covariance(given: npt.ArrayLike | None, instruments: Sequence[str]) -> FloatArray2D | None:
    if given is None:
        return None
    covariance = _array(given, "covariance")
    check_covariance(covariance, instruments)
    return covariance


def _dates(dates: Sequence[date] | None, n_observations: int) -> tuple[date, ...] | None:
    if dates is None:
        return None
    try:
        days = tuple(dates)
    except TypeError as error:
        raise InvalidMarketError(f"{dates!r} is not a list of dates.", field="dates") from error
    if len(days) != n_observations:
        raise InvalidMarketError(
            f"{n_observations} observations, but {len(days)} dates.",
            field="dates",
            remedy="Give one for each row of returns, or none.",
        )
    for place, day in enumerate(days):
        if not is_date(day):
            raise InvalidMarketError(f"{day!r} is not a date.", field=f"dates[{place}]")
    for place, (before, day) in enumerate(pairwise(days), start=1):
        if day <= before:
            raise InvalidMarketError(f"{day} is not after {before}.", field=f"dates[{place}]")
    return days


def _tags(tags: Tags, instruments: Sequence[str]) -> Tags:
    if not isinstance(tags, Mapping):
        raise InvalidMarketError(f"{tags!r} is not a mapping.", field="tags")
    known, checked = set(instruments), {}
    for instrument, carried in tags.items():
        place = f"tags[{instrument!r}]"
        if instrument not in known:
            raise InvalidMarketError(
                f"{instrument} is not an instrument of the market.",
                field=place,
                remedy="Give tags of instruments that have prices.",
            )
        if not isinstance(carried, Mapping):
            raise InvalidMarketError(f"{carried!r} is not a mapping.", field=place)
        for tag, value in carried.items():
            if not is_name(tag) or not is_name(value):
                raise InvalidMarketError("Tags and their values are texts, not empty.", field=place)
        if carried:
            checked[instrument] = MappingProxyType(dict(carried))
    return MappingProxyType(checked)


def _check_scenario(name: str, scenario: Stress, dates: Sequence[date] | None, tags: Tags) -> None:
    place = f"scenarios[{name!r}]"
    if not isinstance(name, str) or not name or not isinstance(scenario, Stress):
        raise InvalidMarketError("A scenario is a Scenario or a Replay, by name.", field=place)
    if isinstance(scenario, Replay):
        if dates is None:
            raise InvalidMarketError(
                "A window cannot be found in a market without dates.",
                field=place,
                remedy="Give dates, one for each row of returns.",
            )
        return
    try:
        scenario.tagged(tags)
    except InvalidMarketError as error:
        error.field = f"{place}.{error.field}"
        raise
