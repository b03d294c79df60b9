"""A column of dates, in UTC and in order."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from risk_tasks.readers.tables import Table, is_text

_REMEDY = "Write it as 2022-12-28, or as 2022-12-28T16:00:00-05:00."


def read_dates(table: Table, name: str) -> list[datetime]:
    """Return column `name` as moments in UTC, each after the one before.

    The column holds ISO text, dates or timestamps. A date is its midnight in UTC, and a time
    without zone is in UTC.

    Raises the table's error naming row and column for anything else.
    """
    kind = table.columns[name].type
    if is_text(kind):
        moments = _parsed(table, name)
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        moments = _converted(table, name)
    else:
        raise table.refuse(f"The column holds {kind}, not dates.", column=name, remedy=_REMEDY)
    _check_order(table, name, moments)
    return moments


def _parsed(table: Table, name: str) -> list[datetime]:
    moments = []
    for row, text in enumerate(table.texts(name)):
        try:
            moment = datetime.fromisoformat(text or "")
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            moments.append(aware.astimezone(UTC))
        except (ValueError, OverflowError):
            raise table.refuse(
                f"{text!r} is not a date." if text else "The date is missing.",
                row=row,
                column=name,
                remedy=_REMEDY,
            ) from None
    return moments


def _converted(table: Table, name: str) -> list[datetime]:
    # By way of UTC and then without zone: pyarrow would look for a time zone database.
    in_utc = pc.CastOptions(pa.timestamp("us", "UTC"), allow_time_truncate=True)
    try:
        moments = pc.cast(table.columns[name], options=in_utc).cast(pa.timestamp("us")).to_pylist()
    except (pa.ArrowInvalid, OverflowError) as error:
        raise table.refuse(f"A date is out of range: {error}.", column=name) from error
    if None in moments:
        raise table.refuse("The date is missing.", row=moments.index(None), column=name)
    return [moment.replace(tzinfo=UTC) for moment in moments]


def _check_order(table: Table, name: str, moments: list[datetime]) -> None:
    for row in range(1, len(moments)):
        before, moment = moments[row - 1], moments[row]
        if moment > before:
            continue
        relation = "is the same as" if moment == before else "is before"
        raise table.refuse(
            f"{moment:%Y-%m-%d %H:%M} {relation} that of {table.row_name(row - 1)}.",
            row=row,
            column=name,
            remedy="Sort the rows by date, oldest first, one row a date.",
        )
