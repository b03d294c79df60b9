"""What a caller is told when something is wrong: problems of RFC 9457, with the library's codes."""

from __future__ import annotations

import math
from typing import Any, Self

import msgspec
from starlette.responses import Response

from risk_tasks.errors import (
    ChangesTrimmedError,
    DeadLetterError,
    InputFileError,
    InvalidMarketError,
    NoMarketError,
    QueueFullError,
    QuotaExceededError,
    ReportTimeoutError,
    RequestError,
    RiskTasksError,
    StaleVersionError,
    TransportError,
    UnknownCheckError,
    UnknownPortfolioError,
)

MEDIA_TYPE = "application/problem+json"
#: what `type` begins with; the code follows
TYPE_PREFIX = "urn:risk-tasks:problem:"
#: when to come back where nothing says it better
RETRY_AFTER_S = 1.0

#: the first that fits holds
_STATUS_OF: tuple[tuple[type[RiskTasksError], int], ...] = (
    (QueueFullError, 429),
    (QuotaExceededError, 429),
    (ReportTimeoutError, 504),
    (TransportError, 503),
    (UnknownCheckError, 404),
    (NoMarketError, 404),
    (UnknownPortfolioError, 404),
    (StaleVersionError, 409),
    (ChangesTrimmedError, 410),
    (DeadLetterError, 502),
    (RequestError, 422),
    (InvalidMarketError, 422),
    (InputFileError, 422),
)


class ProblemDocument(msgspec.Struct, omit_defaults=True):
    """A problem by RFC 9457: `code` names it, `field` is the place, `remedy` what mends it."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None
    remedy: str | None = None
    check_id: str | None = None


class ProblemError(Exception):
    """Answers the request that it is raised in."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        remedy: str | None = None,
        check_id: str | None = None,
        retry_after_s: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.document = ProblemDocument(
            TYPE_PREFIX + code,
            code.replace("_", " "),
            status,
            detail,
            code,
            field,
            remedy,
            check_id or None,
        )
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))

    @property
    def status(self) -> int:
        return self.document.status

    @property
    def code(self) -> str:
        return self.document.code

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Return the problem that tells of `error`; one that is none of ours tells nothing."""
        if isinstance(error, cls):
            return error
        if not isinstance(error, RiskTasksError):
            return cls(500, "error", "The gateway failed.", remedy="See its log.")
        status = next((status for kind, status in _STATUS_OF if isinstance(error, kind)), 500)
        details: dict[str, Any] = {"check_id": getattr(error, "check_id", None)}
        if status in {409, 429, 503}:
            details["retry_after_s"] = getattr(error, "retry_after_s", RETRY_AFTER_S)
        return cls(
            status, error.code, error.message, field=error.field, remedy=error.remedy, **details
        )

    def response(self) -> Response:
        return Response(
            msgspec.json.encode(self.document), self.status, self.headers, media_type=MEDIA_TYPE
        )
