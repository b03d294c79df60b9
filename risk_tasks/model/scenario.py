"""Scenarios of a market: named price changes, or the returns of a window of its own history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.values import as_finite, is_name

Tags = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Price changes by instrument, by tag, and of all others.

    `shocks` are relative by instrument, -0.2 being a fall by a fifth; `moves` are absolute by
    instrument, in base currency per unit; `by_tag` has relative shocks of the instruments that
    carry a tag, as {"sector": {"technology": -0.2}}. An instrument that is named moves as it is
    named, one that is not as its tags say, and one that neither tells by `others`. None is the
    stated refusal to guess: the stress loss of a book that holds such an instrument is undefined.

    Raises `InvalidMarketError` naming the field, also for an instrument with a shock and a move.
    """

    shocks: Mapping[str, float]
    moves: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    by_tag: Mapping[str, Mapping[str, float]] = field(default_factory=dict, kw_only=True)
    others: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        shocks, moves = _numbers(self.shocks, "shocks"), _numbers(self.moves, "moves")
        for instrument in moves:
            if instrument in shocks:
                raise InvalidMarketError(
                    f"{instrument} has a shock and a move.",
                    field=f"moves[{instrument!r}]",
                    remedy="Give one of them.",
                )
        by_tag = {}
        for tag, values in _mapping(self.by_tag, "by_tag").items():
            if not is_name(tag):
                raise InvalidMarketError("Tags are texts, not empty.", field="by_tag")
            # Adding 0.0 turns -0.0 into 0.0: equal shocks of two tags must have the same bits.
            changes = _numbers(values, f"by_tag[{tag!r}]", "Values of tags")
            by_tag[tag] = MappingProxyType({value: shock + 0.0 for value, shock in changes.items()})
        object.__setattr__(self, "shocks", shocks)
        object.__setattr__(self, "moves", moves)
        object.__setattr__(self, "by_tag", MappingProxyType(by_tag))
        if self.others is not None:
            object.__setattr__(self, "others", _finite(self.others, "others"))

    def tagged(self, tags: Tags) -> dict[str, float]:
        """Return the relative shock of each instrument that moves as its tags say.

        Raises `InvalidMarketError` where two tags of one instrument say different things.
        """
        found: dict[str, float] = {}
        if not self.by_tag:
            return found
        for instrument, carried in tags.items():
            if instrument in self.shocks or instrument in self.moves:
                continue
            said = {
                f"{tag}={value}": self.by_tag[tag][value]
                for tag, value in carried.items()
                if value in self.by_tag.get(tag, ())
            }
            if len(set(said.values())) > 1:
                words = " and ".join(f"{tag} ({shock:g})" for tag, shock in said.items())
                raise InvalidMarketError(
                    f"{instrument} carries {words}, which differ.",
                    field="by_tag",
                    remedy="Name the instrument in shocks, or give its tags the same shock.",
                )
            if said:
                found[instrument] = next(iter(said.values()))
        return found

    @property
    def content(self) -> list[object]:
        """Everything that a number depends on, for a hash."""
        named: list[object] = [sorted(self.shocks.items()), self.others]
        if self.moves or self.by_tag:
            by_tag = [(tag, sorted(values.items())) for tag, values in sorted(self.by_tag.items())]
            named += [sorted(self.moves.items()), by_tag]
        return named


@dataclass(frozen=True, slots=True)
class Replay:
    """What a window of the market's own past did, once more: prod(1 + r) - 1 of each instrument.

    The window is of all observations from `start` to `end`, both included. It covers an instrument
    where the panel reaches from `start` to `end` and no return within is missing. What it does not
    cover moves by `others`, as long as the share of a book's gross exposure that it covers is
    `min_coverage` at least; below that the book has no stress loss. The two go together: without
    `others` the whole of a book must be covered.

    Raises `InvalidMarketError` naming the field.
    """

    start: date
    end: date
    min_coverage: float = field(default=1.0, kw_only=True)
    others: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            if not is_date(getattr(self, name)):
                raise InvalidMarketError(f"{getattr(self, name)!r} is not a date.", field=name)
        if self.end < self.start:
            raise InvalidMarketError("The window ends before it starts.", field="end")
        share = as_finite(self.min_coverage)
        if share is None or not 0 <= share <= 1:
            raise InvalidMarketError(
                f"{self.min_coverage!r} is not a share of exposure.",
                field="min_coverage",
                remedy="Give a number from 0 to 1.",
            )
        object.__setattr__(self, "min_coverage", share)
        self._check_fallback()

    def _check_fallback(self) -> None:
        if self.others is None and self.min_coverage < 1:
            raise InvalidMarketError(
                "Nothing says how what is not covered moves.",
                field="others",
                remedy="Give others, or leave min_coverage at 1.",
            )
        if self.others is not None:
            object.__setattr__(self, "others", _finite(self.others, "others"))
            if self.min_coverage == 1:
                raise InvalidMarketError(
                    "others is never read where all must be covered.",
                    field="min_coverage",
                    remedy="Give a min_coverage below 1, or leave others out.",
                )

    @property
    def content(self) -> dict[str, object]:
        """Everything that a number depends on, for a hash."""
        window = [self.start.isoformat(), self.end.isoformat()]
        return {"replay": window, "min_coverage": self.min_coverage, "others": self.others}


Stress = Scenario | Replay


def is_date(value: object) -> bool:
    """Whether `value` is a date without a time."""
    return isinstance(value, date) and not isinstance(value, datetime)


def _numbers(numbers: object, place: str, what: str = "Instruments") -> Mapping[str, float]:
    checked = {}
    for name, number in _mapping(numbers, place).items():
        if not isinstance(name, str) or not name:
            raise InvalidMarketError(f"{what} are texts, not empty.", field=place)
        checked[name] = _finite(number, f"{place}[{name!r}]")
    return MappingProxyType(checked)


def _mapping(value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise InvalidMarketError(f"{value!r} is not a mapping.", field=place)
    return value


def _finite(number: object, place: str) -> float:
    value = as_finite(number)
    if value is None:
        raise InvalidMarketError(f"{number!r} is not a finite number.", field=place)
    return value
