"""Logs of the roles: one line per event on standard error, as JSON or for a terminal.

Control characters are escaped: an id of a portfolio can neither forge a line nor control the
terminal. Passwords in URLs are masked.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from risk_tasks.server_url import masked_urls

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_UNSAFE_BUT_LINES = re.compile(_UNSAFE.pattern.replace(r"\x00-\x1f", r"\x00-\x09\x0b-\x1f"))


def configure_logs(level: str, log_format: str = "auto") -> None:
    """Configure structlog and the loggers of libraries to write lines of `level` and above.

    `log_format`: "json", "console", or "auto", which is console on a terminal.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    readable = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    common: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
        mask_secrets,
        order,
    ]
    ends: list[Processor] = [structlog.processors.JSONRenderer()]
    if readable:
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,
        )
        ends = [escape_controls, console]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ends],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
    logging.captureWarnings(True)
    # The library itself logs one line per block.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*common, *ends],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # One write per line: lines of other loggers cannot interleave.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Put timestamp, level and event first."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return {**first, **event}


def mask_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask the passwords of URLs, also in nested values; objects become text."""
    return {
        name: value if name.startswith("_") else _masked(value) for name, value in event.items()
    }


def _masked(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return masked_urls(value) if "://" in value else value
        case dict():
            return {str(key): _masked(each) for key, each in value.items()}
        case list() | tuple():
            return [_masked(each) for each in value]
    return masked_urls(repr(value))


def escape_controls(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    r"""Escape control and bidirectional characters as `\x1b`, as JSON does."""
    for name, value in event.items():
        unsafe = _UNSAFE_BUT_LINES if name == "exception" else _UNSAFE
        shown: Any = value if isinstance(value, int | float | None) else str(value)
        event[name] = unsafe.sub(_escaped, shown) if isinstance(shown, str) else shown
    return event


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
