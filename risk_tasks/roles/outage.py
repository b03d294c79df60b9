"""What a role does while the server is away: it waits, and says so once and every 30 s."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis

from risk_tasks.errors import StartError, TransportError
from risk_tasks.log import log

Result = TypeVar("Result")

_LOG_EVERY_S = 30.0
_RETRY_EVERY_S = 0.5


class Outage:
    """Logs a failure that lasts: its start, then every 30 s, then its end."""

    def __init__(self, event: str, **fields: Any) -> None:
        self._event = event
        self._fields = fields
        self._began_s: float | None = None
        self._logged_s = 0.0

    def failed(self, error: BaseException) -> None:
        """Note one more failure of the same work."""
        now_s = time.monotonic()
        if self._began_s is None:
            self._began_s = now_s
        elif now_s - self._logged_s < _LOG_EVERY_S:
            return
        self._logged_s = now_s
        lasts_s = round(now_s - self._began_s)
        log.warning(f"{self._event}.failed", **self._fields, error=str(error), lasts_s=lasts_s)

    def ended(self) -> None:
        """Note that the work succeeds; logs only after a failure."""
        if self._began_s is not None:
            lasted_s = round(time.monotonic() - self._began_s, 1)
            log.info(f"{self._event}.resumed", **self._fields, lasted_s=lasted_s)
            self._began_s = None


def when_available(call: Callable[[], Result], *, timeout_s: float | None) -> Result:
    """Return the result of `call`, which is repeated while it raises `TransportError`.

    A refused password raises at once: only a change of the settings ends that. Raises `StartError`
    after `timeout_s`; None waits without end.
    """
    outage, started_s = Outage("start"), time.monotonic()
    while True:
        try:
            result = call()
        except TransportError as error:
            if isinstance(error.__cause__, redis.AuthenticationError):
                raise
            outage.failed(error)
            if timeout_s is not None and time.monotonic() - started_s >= timeout_s:
                raise StartError(
                    f"The server was not available within {timeout_s:g} s: {error.message}",
                    remedy=f"{error.remedy} If it takes longer, raise RISK_TASKS_START_TIMEOUT_S.",
                ) from error
            time.sleep(_RETRY_EVERY_S)
        else:
            outage.ended()
            return result
