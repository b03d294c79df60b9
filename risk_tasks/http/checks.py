"""`/v1/checks`: checks as JSON, and the answers of those that nobody waited for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from risk_tasks.client import AsyncRiskClient
from risk_tasks.client.options import CheckOptions
from risk_tasks.errors import ReportTimeoutError, UnknownCheckError
from risk_tasks.http.bodies import ARROW_TYPE, JSON_TYPE, Bodies, media_type
from risk_tasks.http.documents import CheckAccepted, CheckRequest, read_body, read_portfolios
from risk_tasks.http.preferences import Preferences, read_preferences
from risk_tasks.http.problems import RETRY_AFTER_S, ProblemError
from risk_tasks.http.repeats import Repeats
from risk_tasks.http.tables import TableChecks
from risk_tasks.http.tokens import Caller
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport
from risk_tasks.wire.documents import read_limit_set, read_settings, report_document

#: a larger document is read and written in a thread, so that it holds up nobody else
_SMALL_BYTES = 64 << 10
_SMALL_BOOK = 50
_CHECK_ID = re.compile(r"[0-9a-f]{32}\.[0-9]{1,12}\.[0-9]{1,4}")
#: looking whether an answer is there
_LOOK_S = 0.001


class _Options(CheckOptions, total=False):
    """What a document says beside its portfolios."""

    explain: bool
    min_version: int


class Checks:
    """Answers what concerns checks; `most_s` is the longest that a caller may wait."""

    def __init__(
        self, risk: AsyncRiskClient, bodies: Bodies, repeats: Repeats, *, most_s: float
    ) -> None:
        self._risk = risk
        self._bodies = bodies
        self._repeats = repeats
        self._tables = TableChecks(risk)
        self._most_s = most_s

    async def post(self, request: Request, caller: Caller) -> Response:
        """Check one portfolio or many."""
        kind = media_type(request, JSON_TYPE, ARROW_TYPE)
        preferences = read_preferences(request, self._most_s)
        async with self._bodies.read(request, kind) as body:

            async def answer() -> Response:
                if kind == ARROW_TYPE:
                    return await self._tables.answer(request, body, preferences)
                return await self._answer(request, body, preferences)

            return await self._repeats.once(request, caller, body, answer)

    async def get(self, request: Request, caller: Caller) -> Response:
        """Return the reports of a check that was sent without waiting, or 202 while they lack."""
        check_id = request.path_params["check_id"]
        if not _CHECK_ID.fullmatch(check_id):
            raise UnknownCheckError(f"{check_id[:80]!r} is not the id of a check.")
        wait_s = read_preferences(request, self._most_s).wait_s
        try:
            reports = await self._risk.result(check_id, timeout_s=wait_s or _LOOK_S)
        except ReportTimeoutError:
            return _accepted(check_id, 202)
        return await _answered(reports)

    async def _answer(self, request: Request, body: bytes, preferences: Preferences) -> Response:
        if request.url.query:
            raise ProblemError(
                422,
                "bad_request",
                "Terms in the query are for Arrow bodies.",
                field="query",
                remedy="Write them into the document.",
            )
        if len(body) <= _SMALL_BYTES:
            portfolios, options = _read(body, preferences)
        else:
            portfolios, options = await asyncio.to_thread(_read, body, preferences)
        if preferences.respond_async:
            handle = await self._risk.submit(portfolios, **options)
            return _accepted(handle.check_id, 202)
        # By id it may be one that nobody set, which has a report among many and is refused alone.
        if len(portfolios) == 1 and isinstance(portfolios[0], Portfolio):
            return _written([await self._risk.check_shared(portfolios[0], **options)])
        return await _answered(await self._risk.check_many(portfolios, **options))


def _read(body: bytes, preferences: Preferences) -> tuple[list[Portfolio | str], _Options]:
    """Return what is asked; options that are not given stay away, for the client's usual ones."""
    asked = read_body(body, CheckRequest)
    options: _Options = {"explain": asked.explain}
    if asked.min_version is not None:
        options["min_version"] = asked.min_version
    if asked.limits is not None:
        given = asked.limits
        options["limits"] = given if isinstance(given, str) else read_limit_set(given)
    if asked.measures is not None:
        options["measures"] = asked.measures
    if asked.settings is not None:
        options["settings"] = read_settings(asked.settings)
    if asked.market is not None:
        options["market"] = asked.market
    if asked.priority != "normal":
        options["priority"] = asked.priority
    if preferences.wait_s is not None:
        options["timeout_s"] = preferences.wait_s
    return read_portfolios(asked.portfolios), options


async def _answered(reports: Sequence[RiskReport]) -> Response:
    if len(reports) <= _SMALL_BOOK:
        return _written(reports)
    return await asyncio.to_thread(_written, reports)


def _written(reports: Sequence[RiskReport]) -> Response:
    document: dict[str, Any] = {"reports": [report_document(report) for report in reports]}
    return Response(msgspec.json.encode(document), media_type=JSON_TYPE)


def _accepted(check_id: str, status: int) -> Response:
    location = f"/v1/checks/{check_id}"
    headers = {
        "Location": location,
        "Retry-After": str(round(RETRY_AFTER_S)),
        "Preference-Applied": "respond-async",
    }
    document = msgspec.json.encode(CheckAccepted(check_id, location))
    return Response(document, status, headers, media_type=JSON_TYPE)
