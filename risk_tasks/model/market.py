"""A market snapshot: what instruments are worth, how they moved, and what might befall them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.covariance import check_covariance
from risk_tasks.model.name import is_name
from risk_tasks.model.number import as_finite

FloatArray1D = npt.NDArray[np.float64]
FloatArray2D = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Relative price shocks by instrument: -0.2 is a fall by a fifth.

    `others` is the shock of every instrument that `shocks` does not name. None is the stated
    refusal to guess: the stress loss of a book that holds such an instrument is undefined.
    """

    shocks: Mapping[str, float]
    others: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        shocks = {}
        for instrument, shock in self.shocks.items():
            if not isinstance(instrument, str) or not instrument:
                raise InvalidMarketError("Instruments are texts, not empty.", field="shocks")
            shocks[instrument] = _finite(shock, f"shocks[{instrument!r}]")
        object.__setattr__(self, "shocks", MappingProxyType(shocks))
        if self.others is not None:
            object.__setattr__(self, "others", _finite(self.others, "others"))


def _finite(number: float, place: str) -> float:
    value = as_finite(number)
    if value is None:
        raise InvalidMarketError(f"{number!r} is not a finite number.", field=place)
    return value


@dataclass(frozen=True, eq=False)
class MarketSnapshot:
    """Prices and the panel of past returns, at one moment.

    `prices` has shape (n,), in base currency per unit. `returns` has shape (observations, n),
    simple returns, oldest first; NaN marks a missing one, which drops that observation for the
    portfolios that hold the instrument. `as_of` is aware and kept in UTC. `covariance` (n, n), of
    one-day returns, is read by the Monte Carlo measures instead of the sample's where it is given.

    Raises `InvalidMarketError` naming the field.
    """

    as_of: datetime
    instruments: Sequence[str]
    prices: FloatArray1D
    returns: FloatArray2D
    scenarios: Mapping[str, Scenario] = field(default_factory=dict, kw_only=True)
    covariance: FloatArray2D | None = field(default=None, kw_only=True)

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
        for name, scenario in self.scenarios.items():
            if not isinstance(name, str) or not name or not isinstance(scenario, Scenario):
                raise InvalidMarketError(
                    "A scenario is a Scenario by name.", field=f"scenarios[{name!r}]"
                )
        object.__setattr__(self, "covariance", _covariance(self.covariance, instruments))
        object.__setattr__(self, "as_of", self.as_of.astimezone(UTC))
        object.__setattr__(self, "instruments", instruments)
        object.__setattr__(self, "prices", prices)
        object.__setattr__(self, "returns", returns)
        object.__setattr__(self, "scenarios", MappingProxyType(dict(self.scenarios)))

    @property
    def n_observations(self) -> int:
        return int(self.returns.shape[0])

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Where each instrument stands in `prices` and in the columns of `returns`."""
        return {name: place for place, name in enumerate(self.instruments)}

    @cached_property
    def panel_id(self) -> str:
        """SHA-256 of the instruments, their returns and covariance: what new marks leave as is."""
        digest = hashlib.sha256(json.dumps(self.instruments).encode())
        digest.update(str(self.returns.shape).encode())
        digest.update(self.returns.tobytes())
        if self.covariance is not None:
            digest.update(b"covariance")
            digest.update(self.covariance.tobytes())
        return digest.hexdigest()

    @cached_property
    def id(self) -> str:
        """SHA-256 of everything that a number computed on this snapshot depends on."""
        scenarios = {
            name: [sorted(scenario.shocks.items()), scenario.others]
            for name, scenario in sorted(self.scenarios.items())
        }
        head = [self.panel_id, self.as_of.isoformat(), scenarios]
        digest = hashlib.sha256(json.dumps(head).encode())
        digest.update(self.prices.tobytes())
        return digest.hexdigest()

    def with_prices(self, prices: FloatArray1D, *, as_of: datetime) -> MarketSnapshot:
        """Return new marks on the same return panel."""
        marked = MarketSnapshot(
            as_of,
            self.instruments,
            prices,
            self.returns,
            scenarios=self.scenarios,
            covariance=self.covariance,
        )
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
