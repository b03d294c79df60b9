"""Where a bad request of one check becomes an exception."""

from __future__ import annotations

from risk_tasks.errors import InvalidPortfolioError, request_error
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import RiskReport


def require_request(report: RiskReport) -> RiskReport:
    """Return `report`, or raise the `RequestError` that it holds."""
    error = report.error
    kind = request_error(error.code) if error else None
    if error and kind:
        raise kind(error.message, field=error.field, remedy=error.remedy)
    return report


def require_portfolio(place: int, item: object) -> Portfolio:
    if not isinstance(item, Portfolio):
        raise InvalidPortfolioError(
            f"{type(item).__name__} is not a Portfolio.", field=f"portfolios[{place}]"
        )
    return item
