"""How long a caller waits, and whether it waits at all (RFC 7240)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request

from risk_tasks.http.problems import ProblemError

TIMEOUT_HEADER = "X-Timeout-Ms"
_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,6})\"?")


@dataclass(frozen=True, slots=True)
class Preferences:
    """`wait_s` is None where the caller does not say; `respond_async` wants no answer yet."""

    wait_s: float | None = None
    respond_async: bool = False


def read_preferences(request: Request, most_s: float) -> Preferences:
    """Return what `X-Timeout-Ms` and `Prefer` say; the former comes first.

    Raises a `ProblemError` for an `X-Timeout-Ms` that is no number of milliseconds up to `most_s`.
    What `Prefer` says and we do not know is ignored, as RFC 7240 has it.
    """
    wanted = [one.strip().lower() for one in request.headers.get("prefer", "").split(",")]
    respond_async = "respond-async" in wanted
    given = request.headers.get(TIMEOUT_HEADER)
    if given is not None:
        return Preferences(_read_ms(given, most_s) / 1e3, respond_async)
    waits = [found[1] for one in wanted if (found := _WAIT.fullmatch(one))]
    wait_s = min(float(waits[0]), most_s) if waits and int(waits[0]) else None
    return Preferences(wait_s, respond_async)


def _read_ms(text: str, most_s: float) -> int:
    most_ms = round(most_s * 1e3)
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= most_ms:
        raise ProblemError(
            422,
            "invalid_settings",
            f"{text[:20]!r} is not a time to wait.",
            field=TIMEOUT_HEADER,
            remedy=f"Give milliseconds, from 1 to {most_ms}.",
        )
    return int(text)
