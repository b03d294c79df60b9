"""Bodies: requests are read within bounds and decoded, responses are written as JSON."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

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

JSON_TYPE = "application/json"
ARROW_TYPE = "application/vnd.apache.arrow.stream"
_BODY_TIMEOUT_S = 30.0

Document = TypeVar("Document", bound=msgspec.Struct)
Name = Annotated[str, msgspec.Meta(min_length=1)]

#: the error for a value of the wrong type, by the top-level field that contains it
_ERROR_AT: dict[str, type[RiskTasksError]] = {
    "portfolios": InvalidPortfolioError,
    "limits": InvalidLimitError,
    "measures": UnknownMeasureError,
    "settings": InvalidSettingsError,
    "dates": InvalidMarketError,
    "prices": InvalidMarketError,
    "scenarios": InvalidMarketError,
    "tags": InvalidMarketError,
    "proxies": InvalidMarketError,
    "window_days": InvalidMarketError,
    "align": InvalidMarketError,
    "max_gap_days": InvalidMarketError,
    "frequency": InvalidMarketError,
}


@dataclass(frozen=True, slots=True)
class BodyBounds:
    """The largest body of each media type, and the largest sum of all bodies held at a time."""

    json_bytes: int = 8 << 20
    arrow_bytes: int = 64 << 20
    held_bytes: int = 256 << 20


class Bodies:
    """Reads bodies of requests, and counts the bytes that are held."""

    def __init__(self, bounds: BodyBounds) -> None:
        self._bounds = bounds
        self._held_bytes = 0

    @asynccontextmanager
    async def read(self, request: Request, *media_types: str) -> AsyncIterator[tuple[str, bytes]]:
        """Yield the media type and the body, whose bytes count as held until the block ends.

        Raises `ProblemError`: 415 for a type that is not in `media_types` and for a compressed
        body, 413 for one that is too large (before reading it where its length is declared), 408
        for one that takes longer than 30 s, 503 while all bodies together exceed their bound.
        """
        media_type = _media_type(request, media_types)
        bounds = self._bounds
        bound = bounds.arrow_bytes if media_type == ARROW_TYPE else bounds.json_bytes
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > bound:
            raise _too_large(bound)
        held = 0
        chunks: list[bytes] = []
        try:
            try:
                async with asyncio.timeout(_BODY_TIMEOUT_S):
                    async for chunk in request.stream():
                        held += len(chunk)
                        self._held_bytes += len(chunk)
                        self._require_room(held, bound)
                        chunks.append(chunk)
            except TimeoutError:
                raise ProblemError(
                    408,
                    "slow_body",
                    f"The body was not complete within {_BODY_TIMEOUT_S:g} s.",
                    remedy="Send a smaller body, or over a faster connection.",
                    headers={"Connection": "close"},
                ) from None
            body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks.clear()
            yield media_type, body
        finally:
            self._held_bytes -= held

    def _require_room(self, held: int, bound: int) -> None:
        if held > bound:
            raise _too_large(bound)
        if self._held_bytes > self._bounds.held_bytes:
            raise ProblemError(
                503,
                "busy",
                f"All bodies in the gateway exceed {self._bounds.held_bytes} bytes.",
                remedy="Retry later.",
            )


def _media_type(request: Request, accepted: tuple[str, ...]) -> str:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise ProblemError(
            415,
            "unsupported_media_type",
            f"The body has Content-Encoding {encoding[:40]!r}: expected no compression.",
            field="Content-Encoding",
            remedy="Send the body uncompressed.",
        )
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in accepted:
        raise ProblemError(
            415,
            "unsupported_media_type",
            f"Content-Type is {found[:100]!r}: expected {' or '.join(accepted)}.",
            field="Content-Type",
            remedy=f"Send {' or '.join(accepted)}.",
        )
    return found


def _too_large(bound: int) -> ProblemError:
    return ProblemError(
        413,
        "too_large",
        f"The body is larger than {bound} bytes.",
        remedy="Split the request.",
        # Otherwise the server would keep the connection open for the rest of the body.
        headers={"Connection": "close"},
    )


def decode_json(
    body: bytes, kind: type[Document], *, error_type: type[RiskTasksError] | None = None
) -> Document:
    """Return `body` as a `kind`. Raises `ProblemError` 400 for a body that is not JSON.

    A value of the wrong type raises `error_type`, by default the error of the field that contains
    it. The types bound the depth of the document; where they leave it free, the decoder bounds it.
    An object with the same name twice raises `RequestError`: which of the two is meant is unknown.
    """
    try:
        document = msgspec.json.decode(body, type=kind)
        json.loads(body, object_pairs_hook=_require_different, parse_int=float)
    except msgspec.ValidationError as failure:
        message, _, path = str(failure).partition(" - at `$")
        field = path.rstrip("`").lstrip(".")
        top = re.match(r"[a-z_]*", field)
        error = error_type or _ERROR_AT.get(top[0] if top else "", RequestError)
        raise error(f"{message}.", field=field or None) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as failure:
        raise ProblemError(
            400,
            "invalid_json",
            f"The body is not valid JSON: {failure}.",
            remedy="Send one JSON document in UTF-8.",
        ) from None
    except RecursionError:
        raise ProblemError(
            400, "too_deep", "The JSON document is nested too deeply.", remedy="Flatten it."
        ) from None
    return document


def _require_different(pairs: list[tuple[str, object]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestError(
            f"{twice[:100]!r} appears twice in one object.",
            field=twice[:100],
            remedy="Give it once; add quantities of one instrument up.",
        )


def json_response(
    document: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(msgspec.json.encode(document), status, headers, media_type=JSON_TYPE)
