"""Log lines cannot be forged, contain no password, and are JSON outside a terminal."""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings

import pytest
import structlog

from risk_tasks.roles.logs import configure_logs

HOSTILE = 'x\x1b[2J\r\n{"event": "forged"}\x00\x9b31m\u202egnp\u2028'
URL = "redis://user:hunter2@host:6379/0"


@pytest.fixture(autouse=True)
def as_before():
    """Restore the logging of the process for other tests."""
    handlers, level = logging.root.handlers[:], logging.root.level
    quiet = [logging.getLogger(name) for name in ("celery.worker.strategy", "celery.app.trace")]
    levels = [logger.level for logger in quiet]
    yield
    logging.captureWarnings(False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    for logger, before in zip(quiet, levels):
        logger.setLevel(before)
    structlog.reset_defaults()


@pytest.fixture
def lines(capfd, monkeypatch):
    """A function that configures logs and returns the lines that `say` writes."""

    def logged(say, log_format="auto", level="info") -> list[str]:
        monkeypatch.setattr(sys, "stderr", sys.__stderr__)
        configure_logs(level, log_format)
        say(structlog.get_logger("risk_tasks"))
        return capfd.readouterr().err.splitlines()

    return logged


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_line_is_one_write(monkeypatch, log_format):
    """Lines of other threads and libraries cannot interleave."""

    class Stream(io.StringIO):
        def __init__(self) -> None:
            super().__init__()
            self.writes: list[str] = []

        def write(self, text: str) -> int:
            self.writes.append(text)
            return super().write(text)

    stream = Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logs("info", log_format)
    structlog.get_logger("risk_tasks").info("block.finished", block="b")
    logging.getLogger("celery").warning("something")

    assert len(stream.writes) == 2
    assert all(text.endswith("\n") and text.count("\n") == 1 for text in stream.writes)


def is_plain(line: str) -> bool:
    return line.isprintable()


def test_outside_a_terminal_a_line_is_json(lines):
    """Time, level and event first."""
    (line,) = lines(lambda log: log.info("block.finished", block="b", checks=3, queued_ms=1.5))

    assert list(json.loads(line)) == ["timestamp", "level", "event", "block", "checks", "queued_ms"]
    assert json.loads(line)["checks"] == 3


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_control_characters_in_values_are_escaped(lines, log_format):
    """In fields, events, exceptions, and in lines of libraries."""

    def say(log) -> None:
        log.warning("check", portfolio=HOSTILE, measure={"name": HOSTILE})
        log.warning(HOSTILE)
        logging.getLogger("celery").warning("from %s", HOSTILE)

    written = lines(say, log_format)

    assert len(written) == 3
    assert all(is_plain(line) for line in written), written
    assert all("\\x1b" in line or "\\u001b" in line for line in written)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_control_characters_in_an_exception_are_escaped(lines, log_format):
    """On a terminal it has several lines, none of which the message can forge."""

    def say(log) -> None:
        try:
            raise ValueError(HOSTILE)  # noqa: TRY301 - the except clause logs it
        except ValueError:
            log.exception("block.failed")

    written = lines(say, log_format)

    assert (len(written) == 1) == (log_format == "json")
    assert all(is_plain(line.replace("\n", "")) for line in written), written
    assert any("ValueError" in line for line in written)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_passwords_are_masked(lines, log_format):
    """Also in lines of libraries, in exceptions, and in nested values."""

    def say(log) -> None:
        log.warning("at", url=URL, places=[URL], by={"name": (URL,)}, error=OSError(URL))
        log.warning("at", url="redis://host/0?password=hunter2", after="kept")
        log.warning("went to redis://user:hunter2@host:6379/0 and back")
        logging.getLogger("kombu").warning("lost %s", URL)
        try:
            raise ConnectionError(URL)  # noqa: TRY301 - as above
        except ConnectionError:
            log.exception("lost")

    written = "\n".join(lines(say, log_format))

    assert "hunter2" not in written
    assert written.count("user:***@host:6379") >= 7
    assert written.count("?password=***") == 1
    assert "kept" in written
    if log_format == "json":
        assert all(json.loads(line) for line in written.splitlines())


def test_warnings_of_libraries_are_log_lines(lines):
    def say(_) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("careful", stacklevel=1)

    (line,) = lines(say)

    assert "careful" in json.loads(line)["event"]


def test_lines_below_the_level_are_dropped(lines):
    assert lines(lambda log: log.info("quiet"), level="warning") == []


def test_celery_logs_no_single_messages(lines):
    """The library logs one line per block itself."""

    def say(_) -> None:
        logging.getLogger("celery.app.trace").info("Task succeeded")
        logging.getLogger("celery.worker.strategy").info("Task received")

    assert lines(say, level="info") == []
