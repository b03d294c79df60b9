"""Validation of a request on a market."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.engine import MarketArrays, PortfolioBlock
from risk_tasks.errors import InvalidPortfolioError, RiskTasksError, UnknownInstrumentError
from risk_tasks.kernels.positions import locate, repeated_position
from risk_tasks.model.report import ReportError
from risk_tasks.wire.request import RequestBlock

Array = TypeVar("Array", bound=npt.NDArray[Any])


def describe(error: RiskTasksError) -> ReportError:
    """Return `error` in the form of a report."""
    return ReportError(
        code=error.code, message=error.message, field=error.field, remedy=error.remedy
    )


def validate(
    request: RequestBlock, market: MarketArrays
) -> tuple[PortfolioBlock, dict[int, ReportError]]:
    """Return the block on the instruments of the market, and the error of each invalid portfolio.

    An invalid portfolio is an empty one in the block, so that the others keep their rows; its
    numbers have no meaning.
    """
    instrument, n_invalid = _locate(request, market)
    cash, nav = _numbers(request.cash), _numbers(request.nav)
    errors_by_row = chain(
        _errors_of_worth(request, cash, nav),
        _errors_of_positions(request, instrument, len(market.index)) if n_invalid else (),
        _errors_of_ids(request),
    )
    # Of several errors of a row, the last one is reported.
    errors = {row: describe(error) for row, error in errors_by_row}
    offsets, quantity = request.offsets, request.quantity
    if errors:
        sizes = np.diff(offsets)
        valid = np.ones(len(request), dtype=bool)
        valid[list(errors)] = False
        kept = np.repeat(valid, sizes)
        instrument, quantity = instrument[kept], quantity[kept]
        offsets = np.concatenate([[0], np.cumsum(np.where(valid, sizes, 0))])
    return PortfolioBlock(offsets, instrument, quantity, cash, nav), errors


def _numbers(column: pa.DoubleArray) -> npt.NDArray[np.float64]:
    numbers: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
    return numbers


def _locate(request: RequestBlock, market: MarketArrays) -> tuple[npt.NDArray[np.int64], int]:
    """Return the instrument of each position, -1 if unknown, and how many are invalid."""
    names, n_instruments = request.instrument_names, len(market.index)
    known = np.array([market.index.get(name, -1) for name in names], dtype=np.int64)
    instrument, invalid = np.empty(len(request.instrument), np.int64), np.zeros(1, np.int64)
    code, quantity = _read_only(request.instrument), _read_only(request.quantity)
    locate(request.offsets, code, known, n_instruments, quantity, instrument, invalid)
    return instrument, int(invalid[0])


def _read_only(array: Array) -> Array:
    """Return a read-only view, as of Arrow: Numba would compile again for a writable array."""
    view = array.view()
    view.flags.writeable = False
    return view


def _errors_of_worth(
    request: RequestBlock, cash: npt.NDArray[np.float64], nav: npt.NDArray[np.float64]
) -> Iterator[tuple[int, RiskTasksError]]:
    for field, numbers, column in (("cash", cash, request.cash), ("nav", nav, request.nav)):
        invalid = ~np.isfinite(numbers)
        # A value that was not given is NaN, which is valid.
        if np.count_nonzero(invalid) > column.null_count:
            given = column.is_valid().to_numpy(zero_copy_only=False)
            for row in np.flatnonzero(invalid & given):
                message = f"{numbers[row]} is not a finite number."
                yield int(row), InvalidPortfolioError(message, field=field)


def _errors_of_positions(
    request: RequestBlock, instrument: npt.NDArray[np.int64], n_instruments: int
) -> Iterator[tuple[int, RiskTasksError]]:
    yield from _repeats(request, instrument, n_instruments)
    for flat in np.flatnonzero(~np.isfinite(request.quantity))[::-1]:
        message = f"{request.quantity[flat]} is not a finite quantity."
        yield _row_of(request, flat), InvalidPortfolioError(message, field=_field_of(request, flat))
    for flat in np.flatnonzero(instrument < 0)[::-1]:
        yield _row_of(request, flat), _unknown(request, flat)


def _errors_of_ids(request: RequestBlock) -> Iterator[tuple[int, RiskTasksError]]:
    if request.portfolio_ids.null_count:
        for row in np.flatnonzero(request.portfolio_ids.is_null().to_numpy(zero_copy_only=False)):
            yield int(row), InvalidPortfolioError("The portfolio has no id.", field="portfolio_id")


def _repeats(
    request: RequestBlock, instrument: npt.NDArray[np.int64], n_instruments: int
) -> Iterator[tuple[int, RiskTasksError]]:
    repeated = np.empty(len(request), dtype=np.int64)
    if not n_instruments:
        return
    repeated_position(request.offsets, np.maximum(instrument, 0), n_instruments, repeated)
    for row in np.flatnonzero(repeated >= 0):
        field = _field_of(request, int(repeated[row]))
        yield int(row), InvalidPortfolioError("The instrument occurs twice.", field=field)


def _unknown(request: RequestBlock, flat: int) -> RiskTasksError:
    if request.instrument[flat] < 0:
        message = "The position has no instrument."
        return InvalidPortfolioError(message, field="positions[].instrument")
    name = request.instrument_names[request.instrument[flat]]
    return UnknownInstrumentError(
        f"{name} has no price in this market.", field=_field_of(request, flat)
    )


def _row_of(request: RequestBlock, flat: int) -> int:
    return int(np.searchsorted(request.offsets, flat, side="right")) - 1


def _field_of(request: RequestBlock, flat: int) -> str:
    return f"positions[{request.instrument_names[request.instrument[flat]]!r}]"
