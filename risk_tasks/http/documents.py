"""The JSON bodies of requests and answers; their parts are those of `wire.documents`."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from risk_tasks.errors import (
    InvalidLimitError,
    InvalidMarketError,
    InvalidPortfolioError,
    InvalidSettingsError,
    RequestError,
    RiskTasksError,
    UnknownMeasureError,
)
from risk_tasks.http.problems import ProblemError
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.queues import Lane
from risk_tasks.wire.documents import (
    LimitSetDocument,
    PortfolioDocument,
    SettingsDocument,
    read_portfolio,
)

Body = TypeVar("Body", bound=msgspec.Struct)

#: what a market or a limit set may be called in a path
NAME_PATTERN = "^[A-Za-z0-9_][A-Za-z0-9._:-]{0,99}$"
#: which live portfolios a path can name: what stands behind a slash is another resource
ID_PATTERN = "^[^/]+$"
Name = Annotated[str, Meta(min_length=1)]

#: whose fault a value of the wrong type is, by where it stands
_ERROR_AT: dict[str, type[RiskTasksError]] = {
    "portfolios": InvalidPortfolioError,
    "limits": InvalidLimitError,
    "measures": UnknownMeasureError,
    "settings": InvalidSettingsError,
    "dates": InvalidMarketError,
    "prices": InvalidMarketError,
    "scenarios": InvalidMarketError,
    "tags": InvalidMarketError,
}


class CheckRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Portfolios, and under which terms they are checked; what is absent is the default.

    A text in place of a portfolio is the id of a live one; `min_version` refuses an earlier one.
    """

    portfolios: Annotated[list[PortfolioDocument | Name], Meta(min_length=1)]
    limits: LimitSetDocument | Name | None = None
    measures: list[str] | None = None
    settings: SettingsDocument | None = None
    market: Name | None = None
    priority: Lane = Lane.NORMAL
    explain: bool = False
    min_version: Annotated[int, Meta(ge=1)] | None = None


class CheckAccepted(msgspec.Struct):
    """A check that was sent without waiting; `location` is where its answer is read."""

    check_id: str
    location: str


class MarketRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Prices by instrument, oldest first, each with as many as there are dates.

    `window_days` keeps the last so many returns. Scenarios and tags are those of the files.
    """

    dates: Annotated[list[str], Meta(min_length=1)]
    prices: dict[str, list[float | None]]
    window_days: Annotated[int, Meta(ge=1)] | None = None
    scenarios: dict[str, dict[str, Any]] = {}
    tags: dict[str, dict[str, str]] = {}


class PublishedMarket(msgspec.Struct):
    """`id` is the hash of all that a number computed on this market depends on."""

    name: str
    id: str


class PublishedLimits(msgspec.Struct):
    """`version` is the hash of the limits."""

    name: str
    version: str


class PortfolioRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A portfolio that is to be held; its id is that of the path, and may be left out."""

    positions: dict[str, float]
    id: str | None = None
    cash: float | None = None
    nav: float | None = None
    tags: dict[str, str] = {}


class PositionsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What is added to positions, in units by instrument."""

    deltas: Annotated[dict[str, float], Meta(min_length=1)]


class Held(msgspec.Struct):
    """A live portfolio, and how often it has changed."""

    id: str
    version: int


class LivePortfolio(PortfolioDocument, kw_only=True):
    """A live portfolio as it is now; positions of 0 are not held."""

    version: int


class Health(msgspec.Struct):
    """Whether the gateway lives, or serves."""

    status: str


def read_body(body: bytes, kind: type[Body], *, fault: type[RiskTasksError] | None = None) -> Body:
    """Return `body` as a `kind`; raises a `ProblemError` for what is no JSON.

    A value of the wrong type is a `fault`, or whatever its place makes it. Its shape bounds how
    deep it may be; where it is free, the decoder does.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as failure:
        message, _, path = str(failure).partition(" - at `$")
        field = path.rstrip("`").lstrip(".")
        at = re.match(r"[a-z_]*", field)
        error = fault or _ERROR_AT.get(at[0] if at else "", RequestError)
        raise error(f"{message}.", field=field or None) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as failure:
        raise ProblemError(
            400, "invalid_json", f"Not JSON: {failure}.", remedy="Send one JSON document."
        ) from None
    except RecursionError:
        raise ProblemError(400, "too_deep", "The document is too deep.") from None


def read_portfolios(documents: list[PortfolioDocument | str]) -> list[Portfolio | str]:
    """Return the portfolios; an `InvalidPortfolioError` names the one that is not valid.

    Ids of live ones are left as they are.
    """
    found: list[Portfolio | str] = []
    for place, document in enumerate(documents):
        if isinstance(document, str):
            found.append(document)
            continue
        try:
            found.append(read_portfolio(document))
        except InvalidPortfolioError as error:
            error.field = f"portfolios[{place}].{error.field}"
            raise
    return found
