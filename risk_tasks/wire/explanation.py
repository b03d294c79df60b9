"""Explanations as a column of an answer."""

from __future__ import annotations

from math import inf
from typing import Any

import pyarrow as pa

from risk_tasks.errors import DecodeError
from risk_tasks.model.explanation import Explanation, Headroom, LimitUse


def _rows_of(**kinds: pa.DataType) -> pa.DataType:
    return pa.list_(pa.struct(list(kinds.items())))


EXPLANATION_TYPE = pa.struct(
    [
        (
            "limits",
            _rows_of(
                limit=pa.string(),
                measure=pa.string(),
                observed=pa.float64(),
                warn=pa.float64(),
                hard=pa.float64(),
                unit=pa.string(),
                utilisation=pa.float64(),
                severity=pa.string(),
            ),
        ),
        (
            "headroom",
            _rows_of(
                instrument=pa.string(),
                buy=pa.float64(),
                sell=pa.float64(),
                buy_bound_by=pa.string(),
                sell_bound_by=pa.string(),
            ),
        ),
        ("not_bounded", pa.list_(pa.string())),
    ]
)
#: what each row has, whatever else is null
_ALWAYS_TOLD = ("limit", "measure", "observed", "unit", "instrument")


def read_explanations(column: pa.Array) -> dict[int, Explanation]:
    """Return the explanation of each row that has one; raises `DecodeError` for what is none."""
    if column.type != EXPLANATION_TYPE:
        raise DecodeError(f"explanation holds {column.type}.")
    cells = enumerate(column.to_pylist())
    return {row: _explanation(**cell) for row, cell in cells if cell is not None}


def _explanation(
    *, limits: list[dict[str, Any]], headroom: list[dict[str, Any]], not_bounded: list[str]
) -> Explanation:
    for row in (*limits, *headroom):
        if any(row[name] is None for name in _ALWAYS_TOLD if name in row):
            raise DecodeError("An explanation lacks what each of them has.")
    for row in headroom:
        for side in ("buy", "sell"):
            # A number that nothing bounds, or a bound without a number, is no answer.
            if (row[side] is None) is not (row[f"{side}_bound_by"] is None):
                raise DecodeError("Room is told without what bounds it.")
            if row[side] is not None and not 0.0 <= row[side] < inf:
                raise DecodeError(f"{row[side]} is no room.")
    return Explanation(
        limits=tuple(LimitUse(**row) for row in limits),
        headroom=tuple(Headroom(**row) for row in headroom),
        not_bounded=tuple(map(_text, not_bounded)),
    )


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise DecodeError("A limit that bounds nothing has no name.")
    return text
