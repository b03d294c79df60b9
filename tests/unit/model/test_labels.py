"""A market given as labelled frames: aligned by label or refused, never read by position."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.readers import read_market

AS_OF = datetime(2024, 5, 6, tzinfo=UTC)
NAMES = ["CALM", "WILD", "MILD"]
PRICES = np.array([100.0, 10.0, 5.0])
RETURNS = np.array([[0.001, 0.05, 0.01], [-0.001, -0.04, np.nan], [0.002, 0.03, 0.02]])
COVARIANCE = np.array([[1.0, 0.2, 0.1], [0.2, 9.0, 0.3], [0.1, 0.3, 4.0]]) * 1e-4
DAYS = [date(2024, 5, 1), date(2024, 5, 2), date(2024, 5, 3)]


def market(**change):
    given = {"prices": PRICES, "returns": RETURNS, **change}
    return MarketSnapshot(AS_OF, NAMES, given.pop("prices"), given.pop("returns"), **given)


FRAMES = {
    "pandas": lambda order: pd.DataFrame(RETURNS, columns=NAMES)[order],
    "polars": lambda order: pl.DataFrame(RETURNS, schema=NAMES).select(order),
    "pyarrow": lambda order: pa.table(dict(zip(NAMES, RETURNS.T, strict=True))).select(order),
    "mapping": lambda order: {name: RETURNS[:, NAMES.index(name)] for name in order},
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES.keys())
@given(order=st.permutations(NAMES))
def test_columns_of_returns_are_aligned_by_label(make, order):
    assert market(returns=make(order)).id == market().id


@given(st.permutations(NAMES))
def test_prices_and_covariance_are_aligned_by_label(order):
    prices = pd.Series(PRICES, index=NAMES)[order]
    covariance = pd.DataFrame(COVARIANCE, index=NAMES, columns=NAMES)
    shuffled = covariance.loc[order, list(reversed(order))]

    found = market(prices=prices, covariance=shuffled)

    assert found.id == market(covariance=COVARIANCE).id
    assert market(prices=dict(prices)).id == market().id


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"returns": pd.DataFrame(RETURNS, columns=["CALM", "WILD", "OTHER"])}, "no MILD"),
        (
            {"returns": pd.DataFrame(RETURNS, columns=["CALM", "WILD", "WILD"])},
            "WILD appears twice",
        ),
        ({"prices": pd.Series(PRICES, index=["CALM", "WILD", "OTHER"])}, "no MILD"),
        ({"prices": {"CALM": 1.0, "WILD": 2.0}}, "no MILD"),
        ({"prices": {**dict(zip(NAMES, PRICES, strict=True)), "OTHER": 1.0}}, "not an instrument"),
        ({"covariance": pd.DataFrame(COVARIANCE, columns=NAMES)}, "not of both rows and columns"),
        ({"covariance": pd.DataFrame(COVARIANCE, index=NAMES)}, "not of both rows and columns"),
        (
            {"covariance": [pd.Series(row, index=NAMES) for row in COVARIANCE]},
            "not of both rows and columns",
        ),
        ({"covariance": pl.DataFrame(COVARIANCE, schema=NAMES)}, "not of both rows and columns"),
        (
            {
                "returns": pd.DataFrame(
                    RETURNS, columns=pd.MultiIndex.from_product([["Close"], NAMES])
                )
            },
            "several levels",
        ),
    ],
)
def test_other_labels_are_refused(change, reason):
    with pytest.raises(InvalidMarketError, match=reason) as caught:
        market(**change)

    assert caught.value.remedy


def test_series_of_one_mapping_share_their_dates_or_are_refused():
    series = {name: pd.Series(RETURNS[:, i], index=DAYS) for i, name in enumerate(NAMES)}
    assert market(returns=series).dates == tuple(DAYS)

    series["WILD"] = series["WILD"].iloc[::-1]
    with pytest.raises(InvalidMarketError, match="The rows of CALM and WILD have different labels"):
        market(returns=series)


@pytest.mark.parametrize("make", [pd.Series, lambda row, index: dict(zip(index, row, strict=True))])
@given(order=st.permutations(NAMES))
def test_a_list_of_labelled_rows_is_aligned_by_label(make, order):
    columns = [NAMES.index(name) for name in order]
    rows = [make(row[columns], index=order) for row in RETURNS]

    assert market(returns=rows).id == market().id


class _LabelledArray(list):
    """An array with coordinates, as that of xarray."""

    coords = ("instrument",)


@pytest.mark.parametrize(
    "returns",
    [
        pl.DataFrame(RETURNS, schema=NAMES).lazy(),
        pd.DataFrame({name: ["text"] for name in NAMES}),
        {name: [0.1] * length for length, name in enumerate(NAMES, start=1)},
        dict.fromkeys(NAMES, 0.1),
        _LabelledArray(RETURNS),
    ],
    ids=["lazy", "texts", "lengths differ", "numbers", "coordinates"],
)
def test_labelled_returns_that_cannot_be_read_are_refused(returns):
    with pytest.raises(InvalidMarketError) as caught:
        market(returns=returns)

    assert caught.value.field == "returns"
    assert caught.value.remedy


def test_frames_without_labels_are_read_by_position():
    """A column index that only counts is not a label."""
    assert market(returns=pd.DataFrame(RETURNS), prices=pd.Series(PRICES)).id == market().id


def test_the_index_of_returns_has_the_dates():
    index = pd.DatetimeIndex(DAYS).tz_localize("Asia/Tokyo")
    for labels in (DAYS, pd.DatetimeIndex(DAYS), index, [day.isoformat() for day in DAYS]):
        frame = pd.DataFrame(RETURNS, columns=NAMES, index=labels)

        assert market(returns=frame).dates == tuple(DAYS)
        assert market(returns=frame, dates=DAYS).dates == tuple(DAYS)
        assert market(returns=frame, dates=frame.index).dates == tuple(DAYS)


def test_an_index_that_differs_from_the_dates_is_refused():
    frame = pd.DataFrame(RETURNS, columns=NAMES, index=DAYS)
    later = [date(2024, 6, day) for day in (1, 2, 3)]
    with pytest.raises(InvalidMarketError, match="index of returns and dates differ"):
        market(returns=frame, dates=later)
    with pytest.raises(InvalidMarketError, match="index of returns and dates differ"):
        market(returns=frame, dates=[1, 2, 3])
    for labels in (["a", "b", "c"], [1, 2, 3], [pd.NaT] * 3):
        with pytest.raises(InvalidMarketError, match="is not a date"):
            market(returns=pd.DataFrame(RETURNS, columns=NAMES, index=labels))


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([["2023-01-01", 1.0, 2.0]], columns=["date", "A", "A"]),
        pd.DataFrame({"date": ["2023-01-01"], "A": pd.arrays.SparseArray([1.0])}),
    ],
    ids=["duplicate columns", "sparse"],
)
def test_a_frame_that_pandas_cannot_export_is_refused(frame):
    with pytest.raises(InvalidMarketError, match="The frame is not a table"):
        read_market(frame)
