"""`/v1/markets` and `/v1/limits`: the markets and the limit sets of later checks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import pyarrow as pa
from msgspec import Meta, Struct
from starlette.requests import Request

from risk_tasks.errors import InvalidMarketError, InvalidSettingsError
from risk_tasks.http.arrow_streams import read_streams
from risk_tasks.http.authentication import Role
from risk_tasks.http.bodies import ARROW_TYPE, JSON_TYPE, decode_json
from risk_tasks.http.gateway import Gateway
from risk_tasks.http.openapi import BINARY, TEXT, Content, Operations, Parameter, ResponseSpec
from risk_tasks.model.calendar import MAX_GAP_DAYS, Align, Frequency
from risk_tasks.model.limits import LimitWarning
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.quality import DataFinding, bounded
from risk_tasks.model.screening import screened
from risk_tasks.readers import read_market
from risk_tasks.wire.documents import LimitSetDocument, read_limit_set, read_scenarios

Default = TypeVar("Default")

operations = Operations()

NAME_PATTERN = "^[A-Za-z0-9_][A-Za-z0-9._:-]{0,99}$"
_NAME = Parameter(
    "name", "path", "The name to publish under.", {"type": "string", "pattern": NAME_PATTERN}
)
_DAYS = {"type": "integer", "minimum": 1, "maximum": 999_999}
#: fields of a JSON body
_OF_ARROW = (
    Parameter("window_days", "query", "For Arrow bodies: use the last N returns.", _DAYS),
    Parameter(
        "align",
        "query",
        "For Arrow bodies: what a missing price means, common dates or dropped returns.",
        {"enum": list(Align), "default": Align.COMMON},
    ),
    Parameter(
        "max_gap_days",
        "query",
        "For Arrow bodies: leave out returns over more calendar days than this.",
        {**_DAYS, "default": MAX_GAP_DAYS},
    ),
    Parameter(
        "frequency",
        "query",
        "For Arrow bodies: the time between rows of prices.",
        {"enum": list(Frequency), "default": Frequency.DAILY},
    ),
)
_TAGS = Parameter(
    "tags",
    "query",
    "Tags in `applies_to`, separated by commas, that portfolios carry although instruments of the "
    "market carry them too.",
    TEXT,
)
_STRICT = Parameter(
    "strict",
    "query",
    "Refuse prices that look wrong, with the code `doubtful_market`.",
    {"type": "boolean", "default": False},
)
_PROBLEMS = (400, 408, 413, 415, 422, 503)
_STRESS = Meta(
    extra_json_schema={
        "anyOf": [{"$ref": f"#/components/schemas/{one}"} for one in ("Scenario", "Replay")]
    }
)
MARKET_EXAMPLE: dict[str, Any] = {
    "dates": ["2024-05-01", "2024-05-02", "2024-05-03", "2024-05-06"],
    "prices": {
        "AAPL": [169.3, 173.03, 183.38, 181.71],
        "XOM": [116.03, 116.21, None, 116.75],
    },
    "scenarios": {"crash": {"shocks": {"AAPL": -0.25}, "others": -0.1}},
    "tags": {"AAPL": {"sector": "technology"}},
}
LIMITS_EXAMPLE: dict[str, Any] = {
    "id": "desk",
    "limits": [
        {"measure": "value_at_risk", "warn": 40_000, "hard": 60_000},
        {"measure": "gross_leverage", "hard": 4.0, "applies_to": {"desk": "equities"}},
    ],
}


class MarketRequest(Struct, forbid_unknown_fields=True):
    """Prices by instrument, oldest first, one for each date.

    `window_days` keeps the last N returns. With `align` "common" a missing price means
    that the instrument did not trade; with "drop" it makes the returns of its row and of the next
    row missing. Returns over more than `max_gap_days` calendar days are left out. `frequency` is
    the time between rows. Scenarios, tags and proxies have the format of their files.
    """

    dates: Annotated[list[str], Meta(min_length=1)]
    prices: dict[str, list[float | None]]
    window_days: Annotated[int, Meta(ge=1)] | None = None
    align: Align = Align.COMMON
    max_gap_days: Annotated[int, Meta(ge=1)] = MAX_GAP_DAYS
    frequency: Frequency = Frequency.DAILY
    scenarios: dict[str, Annotated[dict[str, Any], _STRESS]] = {}
    tags: dict[str, dict[str, str]] = {}
    proxies: dict[str, str | dict[str, str]] = {}


class PublishedMarket(Struct):
    """`id` is the hash of all data that a number computed on this market depends on.

    `findings` has what looks wrong in the prices: the first findings of each kind, and the number
    of the others.
    """

    name: str
    id: str
    findings: tuple[DataFinding, ...] = ()


class PublishedLimits(Struct):
    """`version` is the hash of the limits; `warnings` are thresholds that are hardly meant."""

    name: str
    version: str
    warnings: list[LimitWarning] = []


@operations.add(
    "PUT",
    "/v1/markets/{name}",
    ResponseSpec(200, "Published.", (Content(JSON_TYPE, PublishedMarket),)),
    roles=(Role.PUBLISH,),
    parameters=(_NAME, *_OF_ARROW, _STRICT),
    bodies=(
        Content(JSON_TYPE, MarketRequest, {"prices": MARKET_EXAMPLE}),
        Content(ARROW_TYPE, BINARY),
    ),
    problems=_PROBLEMS,
)
async def put_market(gateway: Gateway, request: Request) -> PublishedMarket:
    """Publish prices as the market of this name for all later checks."""
    name, query, strict = _name(request), request.query_params, _is_strict(request)
    async with gateway.bodies.read(request, JSON_TYPE, ARROW_TYPE) as (media_type, body):
        read = _market_of_stream if media_type == ARROW_TYPE else _market_of_document
        snapshot = await asyncio.to_thread(lambda: screened(read(body, query)))
        market_id = await gateway.risk.publish_market(snapshot, name, strict=strict)
        return PublishedMarket(name, market_id, bounded(snapshot.findings))


@operations.add(
    "PUT",
    "/v1/limits/{name}",
    ResponseSpec(200, "Published.", (Content(JSON_TYPE, PublishedLimits),)),
    roles=(Role.PUBLISH,),
    parameters=(_NAME, _TAGS),
    bodies=(Content(JSON_TYPE, LimitSetDocument, {"limits": LIMITS_EXAMPLE}),),
    problems=_PROBLEMS,
)
async def put_limits(gateway: Gateway, request: Request) -> PublishedLimits:
    """Publish a limit set; the set `default` applies to checks that name no set."""
    name = _name(request)
    tags = request.query_params.get(_TAGS.name, "").split(",")
    async with gateway.bodies.read(request, JSON_TYPE) as (_, body):
        limit_set = read_limit_set(decode_json(body, LimitSetDocument))
        version = await gateway.risk.publish_limits(limit_set, name, tags=tags)
        return PublishedLimits(name, version, list(limit_set.warnings))


def _is_strict(request: Request) -> bool:
    text = request.query_params.get("strict", "false")
    if text not in ("true", "false"):
        raise InvalidSettingsError(
            f"strict is {text[:20]!r}: expected true or false.",
            field="strict",
            remedy="Write strict=true to refuse prices that look wrong.",
        )
    return text == "true"


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    if not re.fullmatch(NAME_PATTERN, name):
        raise InvalidSettingsError(
            f"{name[:100]!r} is not a valid name: expected 1 to 100 letters, digits and ._:-, "
            "the first a letter, a digit or _.",
            field="name",
            remedy="Publish under another name.",
        )
    return name


def _market_of_document(body: bytes, query: Mapping[str, str]) -> MarketSnapshot:
    for one in _OF_ARROW:
        if one.name in query:
            raise InvalidSettingsError(
                f"The query has {one.name} and the body is JSON: expected it in the body.",
                field=one.name,
                remedy=f"Move {one.name} into the document.",
            )
    market = decode_json(body, MarketRequest)
    if "date" in market.prices:
        raise InvalidMarketError(
            "An instrument is called 'date', which is the name of the column of dates.",
            field="prices['date']",
            remedy="Rename the instrument.",
        )
    for instrument, column in market.prices.items():
        if len(column) != len(market.dates):
            raise InvalidMarketError(
                f"{instrument!r} has {len(column)} prices: expected {len(market.dates)}, one for "
                "each date.",
                field=f"prices[{instrument!r}]",
                remedy="Write null for each missing price.",
            )
    prices = {name: pa.array(column, pa.float64()) for name, column in market.prices.items()}
    return read_market(
        pa.table({"date": pa.array(market.dates, pa.string()), **prices}),
        window_days=market.window_days,
        scenarios=read_scenarios(market.scenarios),
        tags=market.tags,
        proxies=market.proxies,
        align=market.align,
        max_gap_days=market.max_gap_days,
        frequency=market.frequency,
    )


def _market_of_stream(body: bytes, query: Mapping[str, str]) -> MarketSnapshot:
    (table,) = read_streams(body, 1)
    return read_market(
        table,
        window_days=_days(query, "window_days", None),
        align=query.get("align", Align.COMMON),
        max_gap_days=_days(query, "max_gap_days", MAX_GAP_DAYS),
        frequency=query.get("frequency", Frequency.DAILY),
    )


def _days(query: Mapping[str, str], name: str, default: Default) -> int | Default:
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch("[0-9]{1,6}", text):
        raise InvalidMarketError(
            f"{name} is {text[:20]!r}: expected a number of days.",
            field=name,
            remedy="Give a whole number from 1 to 999999.",
        )
    return int(text)
