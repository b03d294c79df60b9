"""What callers are told who ask for what cannot be had."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from risk_tasks.client.check_ids import CheckId
from risk_tasks.client.terms import CallTerms
from risk_tasks.errors import (
    InvalidPortfolioError,
    InvalidSettingsError,
    ReportTimeoutError,
    RiskTasksError,
    request_error,
)
from risk_tasks.model.name import is_name
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport

Kind = TypeVar("Kind")


def require_request(report: RiskReport) -> RiskReport:
    """Return `report`, or raise the `RequestError` that it holds."""
    error = report.error
    kind = request_error(error.code) if error else None
    if error and kind:
        raise kind(error.message, field=error.field, remedy=error.remedy)
    return report


def require_portfolios(portfolios: Iterable[Portfolio]) -> list[Portfolio]:
    """Return `portfolios` as a list; raises `InvalidPortfolioError` for what is none."""
    if not isinstance(portfolios, Iterable):
        raise InvalidPortfolioError(
            f"{type(portfolios).__name__} is no list of portfolios.", field="portfolios"
        )
    return [require_portfolio(place, item) for place, item in enumerate(portfolios)]


def require_portfolio(place: int, item: object) -> Portfolio:
    if not isinstance(item, Portfolio):
        raise InvalidPortfolioError(
            f"{type(item).__name__} is not a Portfolio.", field=f"portfolios[{place}]"
        )
    return item


def require_published(
    item: Kind, kind: type[Kind], error: type[RiskTasksError], name: object
) -> Kind:
    """Return what is to be published under `name`; raises `error` for what is no `kind`."""
    if not isinstance(item, kind):
        raise error(f"{type(item).__name__} is not a {kind.__name__}.")
    if not is_name(name):
        raise InvalidSettingsError(f"{name!r} is not a name.", field="name")
    return item


def unanswered(call: CallTerms, check_id: CheckId | str) -> ReportTimeoutError:
    """Return what a caller is told whose time is over."""
    return ReportTimeoutError(
        f"No report within {call.timeout_s:g} s in the {call.lane.value} lane.",
        check_id=str(check_id),
    )


def of_row(error: Exception, row: int) -> Exception:
    """Return `error` as it is told to the caller of one check among others.

    The id of a call that is late is that of its own row alone.
    """
    if not isinstance(error, ReportTimeoutError) or not error.check_id:
        return error
    own = replace(CheckId.parse(error.check_id), rows=(row, row + 1))
    return ReportTimeoutError(error.message, check_id=str(own))
