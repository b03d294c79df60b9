"""Portfolios that are checked by their id: found, or rejected with a reason."""

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
from risk_tasks.model.name import is_name
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.model.report import Decision, ReportError, ReportStatus, RiskReport
from risk_tasks.store.portfolios import unknown

#: the ids of live portfolios -> what is held under them, None where nothing is
Lookup = Callable[[Sequence[str]], Sequence[Portfolio | None]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What one call asks for: the portfolios, and who is left out of them."""

    portfolios: Sequence[Portfolio]
    #: id and error by place in what was asked for, in order
    left_out: Mapping[int, tuple[str, RequestError]]

    def require_all(self) -> Sequence[Portfolio]:
        """Return the portfolios; raises the first error where there is one."""
        for _, error in self.left_out.values():
            raise error
        return self.portfolios

    def merge(self, reports: list[RiskReport]) -> list[RiskReport]:
        """Return `reports` of the portfolios with those of the others between them."""
        if not self.left_out:
            return reports
        merged = list(reports)
        for place, (portfolio_id, error) in self.left_out.items():
            merged.insert(place, _refused(portfolio_id, error))
        return merged


def read_asked(
    portfolios: Iterable[Portfolio | str], min_version: int | None, lookup: Lookup
) -> Asked:
    """Return what is to be checked; ids are looked up all at once.

    Raises `InvalidPortfolioError` for what is neither, and `InvalidSettingsError` for a least
    version that is none or that no id is asked with.
    """
    listed = require_asked(portfolios, min_version)
    wanted = list(dict.fromkeys(item for item in listed if isinstance(item, str)))
    held = dict(zip(wanted, lookup(wanted), strict=True)) if wanted else {}
    found: list[Portfolio] = []
    left_out: dict[int, tuple[str, RequestError]] = {}
    for place, item in enumerate(listed):
        row = item if isinstance(item, Portfolio) else _held(item, held[item], min_version or 0)
        if isinstance(row, Portfolio):
            found.append(row)
        else:
            left_out[place] = str(item), row
    return Asked(found, left_out)


def require_asked(
    portfolios: Iterable[Portfolio | str], min_version: int | None
) -> list[Portfolio | str]:
    if not isinstance(portfolios, Iterable) or isinstance(portfolios, str):
        raise InvalidPortfolioError(
            f"{type(portfolios).__name__} is no list of portfolios.", field="portfolios"
        )
    listed = [_require_item(place, item) for place, item in enumerate(portfolios)]
    if min_version is None:
        return listed
    if isinstance(min_version, bool) or not isinstance(min_version, int) or min_version < 1:
        raise InvalidSettingsError(
            f"{min_version!r} is no version.",
            field="min_version",
            remedy="Give a whole number, 1 at least: what change_positions returned.",
        )
    if listed and not any(isinstance(item, str) for item in listed):
        raise no_version()
    return listed


def no_version() -> InvalidSettingsError:
    """Return what is told of a least version of what is not live."""
    return InvalidSettingsError(
        "Only live portfolios, asked for by their id, have a version.",
        field="min_version",
        remedy="Leave it out, or give ids in place of portfolios.",
    )


def _require_item(place: int, item: object) -> Portfolio | str:
    if isinstance(item, Portfolio) or (isinstance(item, str) and is_name(item)):
        return item
    told = "A text that is no id" if isinstance(item, str) else type(item).__name__
    raise InvalidPortfolioError(
        f"{told} is neither a Portfolio nor the id of a live one.", field=f"portfolios[{place}]"
    )


def _held(portfolio_id: str, found: Portfolio | None, min_version: int) -> Portfolio | RequestError:
    if found is None:
        return unknown(portfolio_id)
    if (found.version or 0) < min_version:
        return StaleVersionError(
            f"{portfolio_id!r} is of version {found.version}, not yet of {min_version}.",
            field="min_version",
        )
    return found


def _refused(portfolio_id: str, error: RequestError) -> RiskReport:
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


_ID = "portfolio_id"


def names_live(table: pa.Table) -> bool:
    """Whether `table` holds ids and nothing else: those of live portfolios."""
    return bool(table.column_names == [_ID])


def read_ids(table: pa.Table, portfolios: Any | None) -> Sequence[str]:
    """Return the distinct ids in order of first appearance.

    Raises `InvalidTableError` for a row without one, and where a second table says something of
    portfolios that are held with all that is known of them.
    """
    if portfolios is not None:
        raise InvalidTableError(
            "Live portfolios are checked as they are held.",
            field="portfolios",
            remedy="Leave this table out, or give positions with instrument and quantity.",
        )
    ids = grouping(table, _ID, "positions").texts
    if pc.any(pc.equal(ids, "")).as_py():
        raise InvalidTableError("An empty text is no id.", field=f"positions.{_ID}")
    found: list[str] = ids.to_pylist()
    return found


def with_left_out(found: pa.Table, left_out: Mapping[int, tuple[str, RequestError]]) -> pa.Table:
    """Return `found` with a row for each of `left_out`, by place in all, where it stands."""
    if not left_out:
        return found
    n_found, n_out = len(found), len(left_out)
    told = {
        _ID: [portfolio_id for portfolio_id, _ in left_out.values()],
        "status": [ReportStatus.ERROR.value] * n_out,
        "decision": [Decision.REJECT.value] * n_out,
        "breach_count": [0] * n_out,
        "code": [error.code for _, error in left_out.values()],
    }
    cells = [
        pa.array(told.get(field.name, [None] * n_out), type=field.type) for field in found.schema
    ]
    is_out = np.zeros(n_found + n_out, dtype=bool)
    is_out[list(left_out)] = True
    places = np.where(is_out, n_found + np.cumsum(is_out) - 1, np.cumsum(~is_out) - 1)
    rows = pa.concat_tables([found, pa.Table.from_arrays(cells, schema=found.schema)])
    return rows.take(pa.array(places))
