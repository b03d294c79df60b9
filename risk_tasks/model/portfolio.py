"""A portfolio: its positions, cash, net asset value and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from risk_tasks.errors import InvalidPortfolioError
from risk_tasks.model.values import (
    as_finite,
    is_name,
    is_utf8,
    require_finite,
    require_mapping,
    require_name,
)


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Signed quantities by instrument.

    `positions` are in units of the instrument (negative: short). `cash` and `nav` are in the base
    currency; None means unknown, which is not zero. With `nav` unknown and `cash` known, the net
    asset value is the market value plus cash. `tags` select the limits that apply. `version` counts
    the changes of a live portfolio; it is None for any other, and equality ignores it.

    Raises `InvalidPortfolioError` with the field for an invalid name, number, mapping or tag.
    """

    id: str
    positions: Mapping[str, float]
    cash: float | None = field(default=None, kw_only=True)
    nav: float | None = field(default=None, kw_only=True)
    tags: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    version: int | None = field(default=None, kw_only=True, compare=False)

    def __post_init__(self) -> None:
        require_name(self.id, "id", InvalidPortfolioError)
        for name, amount in (("cash", self.cash), ("nav", self.nav)):
            if amount is not None:
                checked = require_finite(amount, name, InvalidPortfolioError)
                object.__setattr__(self, name, checked)
        for name, mapping in (("positions", self.positions), ("tags", self.tags)):
            require_mapping(mapping, name, InvalidPortfolioError)
        positions = {}
        for instrument, quantity in self.positions.items():
            number = as_finite(quantity)
            if number is None or not is_name(instrument):
                field = f"positions[{instrument!r}]"
                require_name(instrument, field, InvalidPortfolioError)
                number = require_finite(quantity, field, InvalidPortfolioError)
            positions[instrument] = number
        for key, value in self.tags.items():
            if not all(isinstance(text, str) and is_utf8(text) for text in (key, value)):
                raise InvalidPortfolioError(
                    f"{value!r} is not a tag value: a tag and its value are text in UTF-8.",
                    field=f"tags[{key!r}]",
                    remedy="Give the tag and its value as text.",
                )
        object.__setattr__(self, "positions", MappingProxyType(positions))
        object.__setattr__(self, "tags", MappingProxyType(dict(self.tags)))
