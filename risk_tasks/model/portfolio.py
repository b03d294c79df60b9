"""A portfolio: what is held, and what is known of its cash and its net asset value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from risk_tasks.errors import InvalidPortfolioError
from risk_tasks.model.values import as_finite, is_name, is_utf8


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Signed quantities by instrument.

    `positions` are in units of the instrument (negative: short). `cash` and `nav` are in the base
    currency; None means unknown, which is not zero. With `nav` unknown and `cash` known, the net
    asset value is the market value plus cash. `tags` select the limits that apply. `version` counts
    the changes of a live one, None for what is not held by the system; portfolios that differ in it
    alone are equal.

    Raises `InvalidPortfolioError` naming the field for anything that is not a finite number.
    """

    id: str
    positions: Mapping[str, float]
    cash: float | None = field(default=None, kw_only=True)
    nav: float | None = field(default=None, kw_only=True)
    tags: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    version: int | None = field(default=None, kw_only=True, compare=False)

    def __post_init__(self) -> None:
        _require_name(self.id, "id")
        for name, amount in (("cash", self.cash), ("nav", self.nav)):
            if amount is not None:
                object.__setattr__(self, name, _finite(amount, name))
        for name, mapping in (("positions", self.positions), ("tags", self.tags)):
            if not isinstance(mapping, Mapping):
                raise InvalidPortfolioError("Not a mapping.", field=name)
        for instrument in self.positions:
            _require_name(instrument, f"positions[{instrument!r}]")
        positions = {
            instrument: _finite(quantity, f"positions[{instrument!r}]")
            for instrument, quantity in self.positions.items()
        }
        for key, value in self.tags.items():
            if not all(isinstance(text, str) and is_utf8(text) for text in (key, value)):
                raise InvalidPortfolioError("Tags are text by text.", field=f"tags[{key!r}]")
        object.__setattr__(self, "positions", MappingProxyType(positions))
        object.__setattr__(self, "tags", MappingProxyType(dict(self.tags)))


def _require_name(name: str, place: str) -> None:
    if not is_name(name):
        raise InvalidPortfolioError("A name is a text that is not empty.", field=place)


def _finite(number: float, place: str) -> float:
    value = as_finite(number)
    if value is None:
        raise InvalidPortfolioError(f"{number!r} is not a finite number.", field=place)
    return value
