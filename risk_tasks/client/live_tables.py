"""Tables of ids of live portfolios, and rows for those among them that cannot be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from risk_tasks.client.table_input import grouping
from risk_tasks.errors import InvalidTableError, RequestError
from risk_tasks.model.report import Decision, ReportStatus

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
