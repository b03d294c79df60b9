"""A request held against a market: what is fit to compute, and why the rest is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from risk_tasks.engine import MarketArrays, PortfolioBlock
from risk_tasks.errors import InvalidPortfolioError, RiskTasksError, UnknownInstrumentError
from risk_tasks.kernels.validity import locate, repeated_position
from risk_tasks.model.report import ReportError
from risk_tasks.wire.request import RequestBlock

Array = TypeVar("Array", bound=npt.NDArray[Any])


def describe(error: RiskTasksError) -> ReportError:
    """Return `error` as it stands in a report."""
    return ReportError(
        code=error.code, message=error.message, field=error.field, remedy=error.remedy
    )


def validate(
    request: RequestBlock, market: MarketArrays
) -> tuple[PortfolioBlock, dict[int, ReportError]]:
    """Return the block on the market's instruments, and the first fault of each unfit portfolio.

    An unfit portfolio stands in the block as an empty one, so that the others keep their places;
    its numbers mean nothing.
    """
    known = [market.index.get(name, -1) for name in request.instrument_names]
    instrument, n_unfit = _locate(request, np.array(known, dtype=np.int64))
    cash, nav = _numbers(request.cash), _numbers(request.nav)
    errors = {row: describe(error) for row, error in _faults_of_rows(request, cash, nav)}
    if n_unfit:
        faults = _faults_of_positions(request, instrument, len(market.index))
        errors |= {row: describe(error) for row, error in faults}
    if request.portfolio_ids.null_count:
        for row in np.flatnonzero(request.portfolio_ids.is_null().to_numpy(zero_copy_only=False)):
            missing = InvalidPortfolioError("There is no id.", field="portfolio_id")
            errors[int(row)] = describe(missing)
    offsets, quantity = request.offsets, request.quantity
    if errors:
        sizes = np.diff(offsets)
        fit = np.ones(len(request), dtype=bool)
        fit[list(errors)] = False
        kept = np.repeat(fit, sizes)
        instrument, quantity = instrument[kept], quantity[kept]
        offsets = np.concatenate([[0], np.cumsum(np.where(fit, sizes, 0))])
    return PortfolioBlock(offsets, instrument, quantity, cash, nav), errors


def _numbers(column: pa.DoubleArray) -> npt.NDArray[np.float64]:
    numbers: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
    return numbers


def _locate(
    request: RequestBlock, known: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], int]:
    """Return the instrument of each position, -1 for none, and how many positions are unfit."""
    instrument, unfit = np.empty(len(request.instrument), np.int64), np.zeros(1, np.int64)
    code, quantity = _read_only(request.instrument), _read_only(request.quantity)
    locate(request.offsets, code, known, quantity, instrument, unfit)
    return instrument, int(unfit[0])


def _read_only(array: Array) -> Array:
    """Return what Arrow hands out: Numba compiles once more for an array that may be written."""
    view = array.view()
    view.flags.writeable = False
    return view


def _faults_of_rows(
    request: RequestBlock, cash: npt.NDArray[np.float64], nav: npt.NDArray[np.float64]
) -> Iterator[tuple[int, RiskTasksError]]:
    """Yield rows and faults; where a row comes twice, the later one is named in the report."""
    for place, numbers, column in (("cash", cash, request.cash), ("nav", nav, request.nav)):
        unfit = ~np.isfinite(numbers)
        if unfit.any():
            given = column.is_valid().to_numpy(zero_copy_only=False)
            for row in np.flatnonzero(unfit & given):
                message = f"{numbers[row]} is not a finite number."
                yield int(row), InvalidPortfolioError(message, field=place)


def _faults_of_positions(
    request: RequestBlock, instrument: npt.NDArray[np.int64], n_instruments: int
) -> Iterator[tuple[int, RiskTasksError]]:
    """Yield rows and faults as above."""
    yield from _repeats(request, instrument, n_instruments)
    for flat in np.flatnonzero(~np.isfinite(request.quantity))[::-1]:
        message = f"{request.quantity[flat]} is not a finite quantity."
        yield _row_of(request, flat), InvalidPortfolioError(message, field=_place(request, flat))
    for flat in np.flatnonzero(instrument < 0)[::-1]:
        yield _row_of(request, flat), _unknown(request, flat)


def _repeats(
    request: RequestBlock, instrument: npt.NDArray[np.int64], n_instruments: int
) -> Iterator[tuple[int, RiskTasksError]]:
    repeated = np.empty(len(request), dtype=np.int64)
    if not n_instruments:
        return
    repeated_position(request.offsets, np.maximum(instrument, 0), n_instruments, repeated)
    for row in np.flatnonzero(repeated >= 0):
        field = _place(request, int(repeated[row]))
        yield int(row), InvalidPortfolioError("The instrument stands twice.", field=field)


def _unknown(request: RequestBlock, flat: int) -> RiskTasksError:
    if request.instrument[flat] < 0:
        message = "A position names no instrument."
        return InvalidPortfolioError(message, field="positions[].instrument")
    name = request.instrument_names[request.instrument[flat]]
    return UnknownInstrumentError(
        f"{name} has no price in this market.", field=_place(request, flat)
    )


def _row_of(request: RequestBlock, flat: int) -> int:
    return int(np.searchsorted(request.offsets, flat, side="right")) - 1


def _place(request: RequestBlock, flat: int) -> str:
    return f"positions[{request.instrument_names[request.instrument[flat]]!r}]"
