"""The columns of a table of positions: which are read, which are tags, and which are refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

POSITION_COLUMNS = ("portfolio_id", "instrument", "quantity")
#: the columns of a portfolio that are read in any case: two amounts in base currency, and a name
ATTRIBUTE_COLUMNS = ("cash", "nav", "limit_set")

#: words that end the name of an amount or of an attribute of a position: never tags by accident
_SUSPECT_WORDS = frozenset(
    """
    accrued adv allocation amount ask assets assetsundermanagement aum balance basis beta bid bpv
    buy cap capital cash ccy close conid contracts conversion cost coupon cs01 currency cusip
    delta direction duration dv01 equity expiry exposure factor figi fx gamma gross identifier
    instrument instrumentid isin iv last leverage limit limits limitset long loss lot lots ls margin
    maturity mktval multiplier mv nav net notional par pct percent percentage pnl pointvalue
    portfolioid position price principal proceeds profit pv01 px qty quantity rate ric sedol sell
    settle share shares short side size strike symbol theta ticker unit units val value vega vol
    volatility volume weight weighting weights yield
    """.split()  # noqa: SIM905 - one word a line would take a page
)
#: The words that are recognised at the end of a name also without a space or a capital before them,
#: as in MARKETVALUE. Shorter words are the end of other words, as rate is of corporate.
_SUSPECT_ENDINGS = tuple(word for word in _SUSPECT_WORDS if len(word) >= len("price"))
#: the column that pandas makes of an index without a name
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


class BookColumnError(ValueError):
    """A column that cannot be read: its name, the reason, and what to do."""

    def __init__(self, column: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.column = column
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class BookColumns:
    """The columns of a portfolio, by the name that each has in the table; None: it is absent."""

    cash: str | None = None
    nav: str | None = None
    limit_set: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all these columns in the table."""
        return tuple(filter(None, (self.cash, self.nav, self.limit_set, *self.tags)))


def classify_columns(
    names: Sequence[str], *, tags: Iterable[str] = (), read: Sequence[str] = POSITION_COLUMNS
) -> BookColumns:
    """Return the role of each of `names`, except those in `read`.

    `cash`, `nav` and `limit_set` are read in any case. An index of pandas without a name is left
    out. Other columns are tags, except one whose name looks like an amount or an attribute of a
    position: it is a tag only if `tags` names it.

    Raises `BookColumnError`.
    """
    for name in names:
        if names.count(name) > 1:
            raise BookColumnError(name, "The column appears twice.", "Name each column once.")
    wanted = _wanted(tags, names)
    attributes: dict[str, str] = {}
    found = []
    for name in names:
        role = name.strip().lower()
        if name in read or is_pandas_index(name):
            continue
        if role in ATTRIBUTE_COLUMNS and name not in wanted:
            if role in attributes:
                raise BookColumnError(
                    name,
                    f"Both {attributes[role]} and {name} hold the {role}.",
                    "Keep one of the two columns.",
                )
            attributes[role] = name
        elif name in wanted or not is_suspect(name):
            found.append(name)
        else:
            raise BookColumnError(
                name,
                "The column looks like an amount or an attribute of a position, not like a tag, "
                "and it would have no effect on a measure.",
                f"Remove the column, or name it as a tag: tags=[{name!r}], or --tag {name}.",
            )
    cash, nav, limit_set = map(attributes.get, ATTRIBUTE_COLUMNS)
    return BookColumns(cash, nav, limit_set, tuple(found))


def is_pandas_index(name: str) -> bool:
    """Whether pandas made the column of an index without a name, as a filtered frame has."""
    return _PANDAS_INDEX.fullmatch(name) is not None


def _wanted(tags: Iterable[str], names: Sequence[str]) -> frozenset[str]:
    wanted = frozenset([tags] if isinstance(tags, str) else tags)
    for tag in sorted(wanted.difference(names), key=str):
        raise BookColumnError(
            str(tag),
            "tags names a column that the table does not have.",
            f"Name one of {', '.join(names)[:200]}.",
        )
    return wanted


def is_suspect(name: str) -> bool:
    """Whether `name` looks like an amount or an attribute of a position."""
    words = list(_significant(name))
    singular = [word.removesuffix("s") for word in words]
    return not _SUSPECT_WORDS.isdisjoint([*words, *singular]) or any(
        word.endswith(_SUSPECT_ENDINGS) for word in [*words[:1], *singular[:1]]
    )


def _significant(name: str) -> Iterator[str]:
    """Yield the words that say what a column holds: the last one, and one before a unit."""
    words = [word.lower() for word in _WORD.findall(name)]
    yield "".join(words)
    yield from words[-1:]
    if len(words) > 1 and len(words[-1]) == len("USD"):
        yield words[-2]
