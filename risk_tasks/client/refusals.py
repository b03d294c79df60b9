"""Where a bad request of one check becomes an exception."""

from __future__ import annotations

from typing import TypeVar

from risk_tasks.errors import InvalidSettingsError, RiskTasksError, request_error
from risk_tasks.model.name import is_name
from risk_tasks.model.report import RiskReport

Kind = TypeVar("Kind")


def require_request(report: RiskReport) -> RiskReport:
    """Return `report`, or raise the `RequestError` that it holds."""
    error = report.error
    kind = request_error(error.code) if error else None
    if error and kind:
        raise kind(error.message, field=error.field, remedy=error.remedy)
    return report


def require_published(
    item: Kind, kind: type[Kind], error: type[RiskTasksError], name: object
) -> Kind:
    """Return what is to be published under `name`; raises `error` for what is no `kind`."""
    if not isinstance(item, kind):
        raise error(f"{type(item).__name__} is not a {kind.__name__}.")
    if not is_name(name):
        raise InvalidSettingsError(f"{name!r} is not a name.", field="name")
    return item
