"""Portfolio lookup: ids of live portfolios become portfolios, or rejections at their index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from risk_tasks.client.table_input import grouping
from risk_tasks.errors import (
    InvalidPortfolioError,
    InvalidSettingsError,
    InvalidTableError,
    RequestError,
    StaleVersionError,
)
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import Decision, ReportError, ReportStatus, RiskReport
from risk_tasks.model.values import is_name
from risk_tasks.store.portfolios import unknown

#: ids of live portfolios -> the portfolios, None for an id that is not held
LoadPortfolios = Callable[[Sequence[str]], Sequence[Portfolio | None]]

_ID = "portfolio_id"


@dataclass(frozen=True, slots=True)
class FoundPortfolios:
    """The portfolios of one call, and the ids that are rejected."""

    portfolios: Sequence[Portfolio]
    #: id and error by index in the call, in ascending order
    rejected: Mapping[int, tuple[str, RequestError]]

    @property
    def n_positions(self) -> int:
        return sum(len(portfolio.positions) for portfolio in self.portfolios)

    def require_all(self) -> Sequence[Portfolio]:
        """Return the portfolios; raises the first error if an id is rejected."""
        for _, error in self.rejected.values():
            raise error
        return self.portfolios

    def merge_reports(self, reports: list[RiskReport]) -> list[RiskReport]:
        """Return the reports of the portfolios with those of the rejected ids at their indices."""
        if not self.rejected:
            return reports
        merged = list(reports)
        for index, (portfolio_id, error) in self.rejected.items():
            merged.insert(index, _rejection(portfolio_id, error))
        return merged

    def merge_rows(self, table: pa.Table) -> pa.Table:
        """Return a row per portfolio with rows for the rejected ids at their indices."""
        if not self.rejected:
            return table
        n_found, n_rejected = len(table), len(self.rejected)
        columns = {
            _ID: [portfolio_id for portfolio_id, _ in self.rejected.values()],
            "status": [ReportStatus.ERROR.value] * n_rejected,
            "decision": [Decision.REJECT.value] * n_rejected,
            "breach_count": [0] * n_rejected,
            "code": [error.code for _, error in self.rejected.values()],
            "limits_applied": [0] * n_rejected,
            "data_quality": [[]] * n_rejected,
        }
        empty = [None] * n_rejected
        cells = [pa.array(columns.get(one.name, empty), type=one.type) for one in table.schema]
        is_rejected = np.zeros(n_found + n_rejected, dtype=bool)
        is_rejected[list(self.rejected)] = True
        order = np.where(
            is_rejected, n_found + np.cumsum(is_rejected) - 1, np.cumsum(~is_rejected) - 1
        )
        rows = pa.concat_tables([table, pa.Table.from_arrays(cells, schema=table.schema)])
        return rows.take(pa.array(order))


def find_portfolios(
    portfolios: Iterable[Portfolio | str], min_version: int | None, load: LoadPortfolios
) -> FoundPortfolios:
    """Return the portfolios to check; `load` is called once with all ids, if there are any.

    Raises `InvalidPortfolioError` for an item that is neither a portfolio nor an id, and
    `InvalidSettingsError` for a `min_version` that is not valid or applies to no id.
    """
    items = _require_items(portfolios)
    _require_min_version(min_version, items)
    ids = list(dict.fromkeys(item for item in items if isinstance(item, str)))
    held = dict(zip(ids, load(ids), strict=True)) if ids else {}
    found: list[Portfolio] = []
    rejected: dict[int, tuple[str, RequestError]] = {}
    for index, item in enumerate(items):
        if isinstance(item, Portfolio):
            found.append(item)
            continue
        portfolio = held[item]
        if portfolio is None:
            rejected[index] = item, unknown(item)
        elif (portfolio.version or 0) < (min_version or 0):
            rejected[index] = item, _stale(portfolio, min_version)
        else:
            found.append(portfolio)
    return FoundPortfolios(found, rejected)


def has_ids_only(table: pa.Table) -> bool:
    """Whether `table` has the column portfolio_id alone: it names live portfolios."""
    return bool(table.column_names == [_ID])


def read_ids(table: pa.Table, portfolios: Any | None) -> Sequence[str]:
    """Return the distinct ids in order of first appearance.

    Raises `InvalidTableError` for a row without an id, and for a second table: cash, nav, limit set
    and tags of a live portfolio are those that the server holds.
    """
    if portfolios is not None:
        raise InvalidTableError(
            "Live portfolios are checked as the server holds them.",
            field="portfolios",
            remedy="Leave this table out, or give positions with instrument and quantity.",
        )
    ids = grouping(table, _ID, "positions").texts
    if pc.any(pc.equal(ids, "")).as_py():
        raise InvalidTableError("An empty text is not an id.", field=f"positions.{_ID}")
    found: list[str] = ids.to_pylist()
    return found


def not_live() -> InvalidSettingsError:
    """Return the error for a `min_version` without the id of a live portfolio."""
    return InvalidSettingsError(
        "min_version applies to live portfolios only, which are named by their id.",
        field="min_version",
        remedy="Leave it out, or give ids instead of portfolios.",
    )


def _require_items(portfolios: Iterable[Portfolio | str]) -> list[Portfolio | str]:
    if not isinstance(portfolios, Iterable) or isinstance(portfolios, str):
        raise InvalidPortfolioError(
            f"{type(portfolios).__name__} is not a list of portfolios.", field="portfolios"
        )
    items = list(portfolios)
    for index, item in enumerate(items):
        if isinstance(item, Portfolio) or (isinstance(item, str) and is_name(item)):
            continue
        found = "a text that is not an id" if isinstance(item, str) else type(item).__name__
        raise InvalidPortfolioError(
            f"Expected a Portfolio or the id of a live one, found {found}.",
            field=f"portfolios[{index}]",
        )
    return items


def _require_min_version(min_version: int | None, items: Sequence[Portfolio | str]) -> None:
    if min_version is None:
        return
    if isinstance(min_version, bool) or not isinstance(min_version, int) or min_version < 1:
        raise InvalidSettingsError(
            f"{min_version!r} is not a version.",
            field="min_version",
            remedy="Give a whole number, 1 at least, such as change_positions returns.",
        )
    if items and not any(isinstance(item, str) for item in items):
        raise not_live()


def _stale(portfolio: Portfolio, min_version: int | None) -> StaleVersionError:
    return StaleVersionError(
        f"{portfolio.id!r} has version {portfolio.version}, expected {min_version} or later.",
        field="min_version",
    )


def _rejection(portfolio_id: str, error: RequestError) -> RiskReport:
    return RiskReport(
        portfolio_id=portfolio_id,
        market_id=None,
        limits_version=None,
        as_of=None,
        status=ReportStatus.ERROR,
        decision=Decision.REJECT,
        error=ReportError(
            code=error.code, message=error.message, field=error.field, remedy=error.remedy
        ),
    )
