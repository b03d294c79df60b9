"""`/v1/markets` and `/v1/limits`: what later checks are computed on and held against."""

from __future__ import annotations

import asyncio
import re

import msgspec
import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response

from risk_tasks.client import AsyncRiskClient
from risk_tasks.errors import InvalidMarketError, InvalidSettingsError
from risk_tasks.http.arrow_streams import read_streams
from risk_tasks.http.bodies import ARROW_TYPE, JSON_TYPE, Bodies, media_type
from risk_tasks.http.documents import (
    NAME_PATTERN,
    MarketRequest,
    PublishedLimits,
    PublishedMarket,
    read_body,
)
from risk_tasks.http.tokens import Caller
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.readers import read_market
from risk_tasks.wire.documents import LimitSetDocument, read_limit_set, read_scenarios


class Publishing:
    """Puts markets and limit sets under their names. Putting the same again changes nothing."""

    def __init__(self, risk: AsyncRiskClient, bodies: Bodies) -> None:
        self._risk = risk
        self._bodies = bodies

    async def put_market(self, request: Request, caller: Caller) -> Response:
        """Make prices the market of this name, as `risk-tasks market publish` does."""
        name, kind = read_name(request), media_type(request, JSON_TYPE, ARROW_TYPE)
        window = request.query_params.get("window_days")
        read = _market_of_stream if kind == ARROW_TYPE else _market_of_document
        async with self._bodies.read(request, kind) as body:
            snapshot = await asyncio.to_thread(read, body, window)
            market_id = await self._risk.publish_market(snapshot, name)
        return _told(PublishedMarket(name, market_id))

    async def put_limits(self, request: Request, caller: Caller) -> Response:
        """Make a limit set the one of this name."""
        name, kind = read_name(request), media_type(request, JSON_TYPE)
        async with self._bodies.read(request, kind) as body:
            limit_set = read_limit_set(read_body(body, LimitSetDocument))
            version = await self._risk.publish_limits(limit_set, name)
        return _told(PublishedLimits(name, version))


def read_name(request: Request) -> str:
    """Return the name in the path; raises `InvalidSettingsError` for what is none."""
    name: str = request.path_params["name"]
    if not re.fullmatch(NAME_PATTERN, name):
        raise InvalidSettingsError(
            f"{name[:100]!r} is not a name.",
            field="name",
            remedy="Use 1 to 100 letters, digits and ._:-, the first a letter, a digit or _.",
        )
    return name


def _market_of_document(body: bytes, window: str | None) -> MarketSnapshot:
    if window is not None:
        raise InvalidSettingsError(
            "With JSON it stands in the document.", field="window_days", remedy="Write it there."
        )
    asked = read_body(body, MarketRequest)
    if "date" in asked.prices:
        raise InvalidMarketError("An instrument cannot be called date.", field="prices['date']")
    for instrument, column in asked.prices.items():
        if len(column) != len(asked.dates):
            raise InvalidMarketError(
                f"{len(column)} prices for {len(asked.dates)} dates.",
                field=f"prices[{instrument!r}]",
                remedy="Give one for each date, null where there is none.",
            )
    prices = {name: pa.array(found, pa.float64()) for name, found in asked.prices.items()}
    return read_market(
        pa.table({"date": pa.array(asked.dates, pa.string()), **prices}),
        window_days=asked.window_days,
        scenarios=read_scenarios(asked.scenarios),
        tags=asked.tags,
    )


def _market_of_stream(body: bytes, window: str | None) -> MarketSnapshot:
    if window is not None and not re.fullmatch("[0-9]{1,6}", window):
        raise InvalidMarketError(f"{window[:20]!r} is not a number of days.", field="window_days")
    (table,) = read_streams(body, 1)
    return read_market(table, window_days=int(window) if window else None)


def _told(document: PublishedMarket | PublishedLimits) -> Response:
    return Response(msgspec.json.encode(document), media_type=JSON_TYPE)
