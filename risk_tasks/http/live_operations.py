"""What the gateway does with live portfolios: a part of the table of operations."""

from __future__ import annotations

from risk_tasks.http import examples
from risk_tasks.http.bodies import JSON_TYPE
from risk_tasks.http.described import TEXT, Content, Operation, Parameter, Success, ref
from risk_tasks.http.documents import ID_PATTERN
from risk_tasks.http.repeats import KEY_HEADER, KEY_PATTERN
from risk_tasks.http.tokens import Role
from risk_tasks.store.breaches import MOST_AT_ONCE

EVENT_STREAM_TYPE = "text/event-stream"
PLACE_HEADER = "Last-Event-ID"
_PLACE = "[0-9]{1,20}(-[0-9]{1,20})?"
PLACE_PATTERN = rf"^(\$|{_PLACE})$"
LAST_PATTERN = rf"^(\$|{_PLACE}(,{_PLACE}){{0,{MOST_AT_ONCE - 1}}})$"

_PATH = "/v1/portfolios/{portfolio_id}"
_ID = Parameter(
    "portfolio_id", "path", "Its id; no slash.", {"type": "string", "pattern": ID_PATTERN}
)
_EVENT = Parameter(
    KEY_HEADER,
    "header",
    "The id of this event of the portfolio: seen again within a day it changes nothing, and is "
    "answered with the version that it made.",
    {"type": "string", "pattern": KEY_PATTERN},
)
_CHANGED = (Success(200, "Held; `version` is the new one.", (Content(JSON_TYPE, ref("Held")),)),)
_BODY_PROBLEMS = (400, 404, 408, 413, 415, 422, 503)

LIVE_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "putPortfolio",
        "PUT",
        _PATH,
        "Hold this portfolio in place of whatever is held under the id, and check it from now on.",
        _CHANGED,
        (Role.PUBLISH,),
        (_ID, _EVENT),
        (Content(JSON_TYPE, ref("PortfolioRequest"), (("book", examples.LIVE_PORTFOLIO),)),),
        _BODY_PROBLEMS,
    ),
    Operation(
        "patchPortfolio",
        "PATCH",
        _PATH,
        "Add to its positions, in one step.",
        _CHANGED,
        (Role.PUBLISH,),
        (_ID, _EVENT),
        (Content(JSON_TYPE, ref("PositionsRequest"), (("fill", examples.DELTAS),)),),
        _BODY_PROBLEMS,
    ),
    Operation(
        "getPortfolio",
        "GET",
        _PATH,
        "The portfolio as it is now.",
        (Success(200, "With its version.", (Content(JSON_TYPE, ref("LivePortfolio")),)),),
        (Role.READ,),
        (_ID,),
        problems=(404, 503),
    ),
    Operation(
        "deletePortfolio",
        "DELETE",
        _PATH,
        "Hold it no longer; its limits that are not ok become so.",
        (Success(200, "`version` was its last one.", (Content(JSON_TYPE, ref("Held")),)),),
        (Role.PUBLISH,),
        (_ID,),
        problems=(404, 503),
    ),
    Operation(
        "getLatestReport",
        "GET",
        f"{_PATH}/report",
        "The latest report of a live portfolio; 404 `no_report` until the first is made.",
        (Success(200, "And of which version.", (Content(JSON_TYPE, ref("LatestReport")),)),),
        (Role.READ,),
        (_ID,),
        problems=(404, 503),
    ),
    Operation(
        "getBreaches",
        "GET",
        "/v1/breaches",
        "Changes of state of limits of live portfolios, as they come: server-sent events, without "
        "end; to a reader of a group its next share.",
        (
            Success(
                200,
                "Events `limit_change`, whose `data` is a LimitChange and whose `id` its place; in "
                "a group the last one alone has an id, and ends the stream.",
                (Content(EVENT_STREAM_TYPE, TEXT),),
            ),
        ),
        (Role.READ,),
        (
            Parameter(
                "since",
                "query",
                "The id after which to go on, or a new group begins; `0`: all that are kept; `$`: "
                "those to come.",
                {"type": "string", "pattern": PLACE_PATTERN, "default": "$"},
            ),
            Parameter(
                "group",
                "query",
                "The group whose changes are shared; with `reader`.",
                {"type": "string", "minLength": 1},
            ),
            Parameter(
                "reader", "query", "Who reads; one at a time.", {"type": "string", "minLength": 1}
            ),
            Parameter(
                PLACE_HEADER,
                "header",
                "The last id that was read; comes before `since`. In a group the share that it is "
                "of is ended.",
                {"type": "string", "pattern": LAST_PATTERN},
            ),
        ),
        problems=(410, 422, 503),
    ),
)
