"""Scenarios of a market: named price changes, or the returns of a past window of the market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.values import as_finite, require_finite, require_mapping, require_name

Tags = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Price changes by instrument, by tag, and of all others.

    `shocks` are relative by instrument, -0.2 being a fall by a fifth; `moves` are absolute by
    instrument, in base currency per unit; `by_tag` has relative shocks of the instruments that
    have a tag, as {"sector": {"technology": -0.2}}. A shock or move of the instrument itself comes
    first, then the shock of its tags, then `others`. If `others` is None, the stress loss of a
    portfolio that holds an instrument without any of these is undefined.

    Raises `InvalidMarketError` with the field, also for an instrument with a shock and a move, and
    for a shock below -1: a price cannot lose more than all of itself.
    """

    shocks: Mapping[str, float]
    moves: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    by_tag: Mapping[str, Mapping[str, float]] = field(default_factory=dict, kw_only=True)
    others: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        shocks, moves = _shocks(self.shocks, "shocks"), _numbers(self.moves, "moves")
        for instrument in moves:
            if instrument in shocks:
                raise InvalidMarketError(
                    f"{instrument} has both a shock and a move.",
                    field=f"moves[{instrument!r}]",
                    remedy="Give only one of them.",
                )
        by_tag = {}
        for tag, values in require_mapping(self.by_tag, "by_tag", InvalidMarketError).items():
            require_name(tag, "by_tag", InvalidMarketError)
            # Adding 0.0 turns -0.0 into 0.0: equal shocks of two tags must have the same bits.
            changes = _shocks(values, f"by_tag[{tag!r}]")
            by_tag[tag] = MappingProxyType({value: shock + 0.0 for value, shock in changes.items()})
        object.__setattr__(self, "shocks", shocks)
        object.__setattr__(self, "moves", moves)
        object.__setattr__(self, "by_tag", MappingProxyType(by_tag))
        if self.others is not None:
            object.__setattr__(self, "others", _shock(self.others, "others"))

    def tagged(self, tags: Tags) -> dict[str, float]:
        """Return the relative shock of each instrument whose shock comes from its tags.

        Raises `InvalidMarketError` if two tags of one instrument have different shocks.
        """
        found: dict[str, float] = {}
        if not self.by_tag:
            return found
        for instrument, carried in tags.items():
            if instrument in self.shocks or instrument in self.moves:
                continue
            shock_by_tag = {
                f"{tag}={value}": self.by_tag[tag][value]
                for tag, value in carried.items()
                if value in self.by_tag.get(tag, ())
            }
            if len(set(shock_by_tag.values())) > 1:
                words = " and ".join(f"{tag} ({shock:g})" for tag, shock in shock_by_tag.items())
                raise InvalidMarketError(
                    f"{instrument} has the tags {words}, whose shocks differ.",
                    field="by_tag",
                    remedy="Add the instrument to shocks, or give its tags the same shock.",
                )
            if shock_by_tag:
                found[instrument] = next(iter(shock_by_tag.values()))
        return found

    @property
    def content(self) -> list[object]:
        """All inputs of the stress loss, for a hash."""
        named: list[object] = [sorted(self.shocks.items()), self.others]
        if self.moves or self.by_tag:
            by_tag = [(tag, sorted(values.items())) for tag, values in sorted(self.by_tag.items())]
            named += [sorted(self.moves.items()), by_tag]
        return named


@dataclass(frozen=True, slots=True)
class Replay:
    """The return of each instrument over a past window of the market: prod(1 + r) - 1.

    The window has all observations from `start` to `end`, both included. It covers an instrument
    if the market has its returns from `start` to `end` without a gap. An instrument that it does
    not cover moves by `others`, if the window covers at least the share `min_coverage` of the
    portfolio's gross exposure. Otherwise the portfolio has no stress loss. Without `others`, the
    window must cover the whole portfolio.

    Raises `InvalidMarketError` with the field.
    """

    start: date
    end: date
    min_coverage: float = field(default=1.0, kw_only=True)
    others: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            if not is_date(getattr(self, name)):
                raise InvalidMarketError(
                    f"{getattr(self, name)!r} is not a date.",
                    field=name,
                    remedy="Give a datetime.date without a time.",
                )
        if self.end < self.start:
            raise InvalidMarketError(
                f"The window ends on {self.end}, before its start {self.start}.",
                field="end",
                remedy="Give an end that is not before the start.",
            )
        share = as_finite(self.min_coverage)
        if share is None or not 0 <= share <= 1:
            raise InvalidMarketError(
                f"Invalid min_coverage {self.min_coverage!r}: expected a number from 0 to 1.",
                field="min_coverage",
                remedy="Give it as a share of gross exposure, such as 0.9.",
            )
        object.__setattr__(self, "min_coverage", share)
        self._check_fallback()

    def _check_fallback(self) -> None:
        if self.others is None and self.min_coverage < 1:
            raise InvalidMarketError(
                f"min_coverage is {self.min_coverage:g}, but others is missing.",
                field="others",
                remedy="Give others, or leave min_coverage at 1.",
            )
        if self.others is not None:
            object.__setattr__(self, "others", _shock(self.others, "others"))
            if self.min_coverage == 1:
                raise InvalidMarketError(
                    "others has no effect while min_coverage is 1.",
                    field="min_coverage",
                    remedy="Give a min_coverage below 1, or leave others out.",
                )

    @property
    def content(self) -> dict[str, object]:
        """All inputs of the stress loss, for a hash."""
        window = [self.start.isoformat(), self.end.isoformat()]
        return {"replay": window, "min_coverage": self.min_coverage, "others": self.others}


Stress = Scenario | Replay


def is_date(value: object) -> bool:
    """Whether `value` is a date without a time."""
    return isinstance(value, date) and not isinstance(value, datetime)


def _shock(value: object, field: str) -> float:
    """Return `value`, a relative change of a price, as a float."""
    shock = require_finite(value, field, InvalidMarketError)
    if shock < -1.0:
        raise InvalidMarketError(
            f"{value!r} is a fall by more than the whole price: expected -1 or more.",
            field=field,
            remedy="Give a fraction, such as -0.3 for -30 %; give a change in currency as a move.",
        )
    return shock


def _shocks(shocks: object, field: str) -> Mapping[str, float]:
    checked = _numbers(shocks, field)
    for name, shock in checked.items():
        _shock(shock, f"{field}[{name!r}]")
    return checked


def _numbers(numbers: object, field: str) -> Mapping[str, float]:
    checked = {}
    for name, number in require_mapping(numbers, field, InvalidMarketError).items():
        require_name(name, field, InvalidMarketError)
        checked[name] = require_finite(number, f"{field}[{name!r}]", InvalidMarketError)
    return MappingProxyType(checked)
