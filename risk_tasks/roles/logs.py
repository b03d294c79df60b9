"""Logs of the roles: a line per event on standard error, JSON or readable, and nothing secret.

Whatever is logged, a line stays a line: control characters are escaped, so that no id of a
portfolio forges one or speaks to the terminal. Passwords in URLs are masked.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from risk_tasks.connection import masked_urls

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_UNSAFE_BUT_LINES = re.compile(_UNSAFE.pattern.replace(r"\x00-\x1f", r"\x00-\x09\x0b-\x1f"))


def configure_logs(level: str, log_format: str = "auto") -> None:
    """Let structlog and the libraries' loggers write lines of `level` and above.

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
    # A block has one line, which is ours.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*common, *ends],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # One write a line, as the libraries' loggers do: between two of them theirs could stand.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Put first what every line has."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return {**first, **event}


def mask_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask the password of every URL, however deep in a value; what is no plain value is text."""
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
    r"""Write control characters, and what turns text around, as `\x1b`; JSON does so itself."""
    for name, value in event.items():
        unsafe = _UNSAFE_BUT_LINES if name == "exception" else _UNSAFE
        shown: Any = value if isinstance(value, int | float | None) else str(value)
        event[name] = unsafe.sub(_escaped, shown) if isinstance(shown, str) else shown
    return event


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
