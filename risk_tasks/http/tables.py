"""Checks as Arrow streams: what `check_table` takes and gives, off the event loop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response

from risk_tasks.client import AsyncRiskClient
from risk_tasks.client.options import CheckOptions
from risk_tasks.errors import InvalidSettingsError
from risk_tasks.http.arrow_streams import read_streams, write_streams
from risk_tasks.http.bodies import ARROW_TYPE
from risk_tasks.http.preferences import Preferences
from risk_tasks.http.problems import ProblemError
from risk_tasks.wire.documents import read_settings

_TERMS = ("limits", "measures", "market", "priority", "settings", "min_version", "breaches")


class _Terms(CheckOptions, total=False):
    """What the query says."""

    min_version: int
    return_breaches: bool


class TableChecks:
    """Reads positions, and a table about the portfolios where a second stream holds one.

    A table of ids alone asks for live portfolios.
    """

    def __init__(self, risk: AsyncRiskClient) -> None:
        self._risk = risk

    async def answer(self, request: Request, body: bytes, preferences: Preferences) -> Response:
        """Return a stream of a row per portfolio; with `breaches`, one of a row per breach too."""
        _require_acceptable(request)
        options = _read_terms(request.query_params)
        if preferences.wait_s is not None:
            options["timeout_s"] = preferences.wait_s
        positions, *about = await asyncio.to_thread(read_streams, body, 2)
        found: Any = await self._risk.check_table(
            positions,
            portfolios=about[0] if about else None,
            **options,
        )
        tables: list[pa.Table] = list(found) if options["return_breaches"] else [found]
        return Response(await asyncio.to_thread(write_streams, tables), media_type=ARROW_TYPE)


def _require_acceptable(request: Request) -> None:
    wanted = [one.partition(";")[0].strip() for one in request.headers.get("accept", "").split(",")]
    if not {"", "*/*", "application/*", ARROW_TYPE} & set(wanted):
        raise ProblemError(
            406,
            "not_acceptable",
            "An Arrow body is answered as Arrow.",
            field="Accept",
            remedy=f"Accept {ARROW_TYPE}, or send JSON.",
        )


def _read_terms(query: Mapping[str, str]) -> _Terms:
    for name in query:
        if name not in _TERMS:
            raise InvalidSettingsError(
                "There is no such term.", field=name, remedy=f"Use {', '.join(_TERMS)}."
            )
    options: _Terms = {"return_breaches": _flag(query.get("breaches", "false"))}
    if "limits" in query:
        options["limits"] = query["limits"]
    if "measures" in query:
        options["measures"] = query["measures"].split(",")
    if "market" in query:
        options["market"] = query["market"]
    if "priority" in query:
        options["priority"] = query["priority"]
    if "settings" in query:
        options["settings"] = read_settings(_decoded(query["settings"]))
    if "min_version" in query:
        options["min_version"] = _version(query["min_version"])
    return options


def _decoded(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidSettingsError(f"Not JSON: {error}.", field="settings") from None


def _version(text: str) -> int:
    if not re.fullmatch("[0-9]{1,19}", text) or int(text) < 1:
        raise InvalidSettingsError(
            f"{text[:20]!r} is no version.",
            field="min_version",
            remedy="Give a whole number, 1 at least: what the change answered.",
        )
    return int(text)


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise InvalidSettingsError(
            f"{text[:20]!r} is neither true nor false.", field="breaches", remedy="Say which."
        )
    return text == "true"
