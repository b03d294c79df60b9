"""Errors as problem documents of RFC 9457, with the codes of the library."""

from __future__ import annotations

import math
from typing import Self

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
#: prefix of `type`; the code follows
TYPE_PREFIX = "urn:risk-tasks:problem:"
#: statuses with a Retry-After header
RETRYABLE = frozenset({409, 429, 503})
RETRY_AFTER_S = 1.0

#: the first matching class determines the status
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
    """A problem (RFC 9457): `code` identifies it, `field` locates it, `remedy` says what to do."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None
    remedy: str | None = None
    check_id: str | None = None


class ProblemError(Exception):
    """An error that ends a request with a problem document."""

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
        self.status = status
        self.code = code
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
        if retry_after_s is None and status in RETRYABLE:
            retry_after_s = RETRY_AFTER_S
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Return `error` as a problem. A foreign error becomes a 500 that discloses nothing."""
        if isinstance(error, cls):
            return error
        if not isinstance(error, RiskTasksError):
            return cls(500, "error", "The gateway failed.", remedy="See the log of the gateway.")
        return cls(
            next((status for kind, status in _STATUS_OF if isinstance(error, kind)), 500),
            error.code,
            error.message,
            field=error.field,
            remedy=error.remedy,
            check_id=getattr(error, "check_id", None),
            retry_after_s=getattr(error, "retry_after_s", None),
        )

    def response(self) -> Response:
        return Response(
            msgspec.json.encode(self.document), self.status, self.headers, media_type=MEDIA_TYPE
        )
