"""The requests of several callers are merged into one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.client.coalescing import merge_requests
from risk_tasks.wire.request import decode_request, encode_request
from tests.unit.client.support import Row, request_of, requests, row_of, rows_of


@given(st.lists(requests, min_size=1, max_size=4))
def test_a_merged_request_holds_the_portfolios_of_all_in_order(several):
    """Also when encoded; the ids of the requests repeat."""
    merged = merge_requests(several)

    expected = [row for request in several for row in rows_of(request)]
    assert rows_of(merged) == expected
    assert rows_of(decode_request(encode_request(merged))) == expected
    assert len(set(merged.instrument_names)) == len(merged.instrument_names)


def test_a_position_without_a_name_stays_without():
    """Among others, whose codes change."""
    unnamed = replace(request_of([row_of(0, 3)]), instrument=np.array([0, -1, 2], dtype=np.int32))

    merged = merge_requests([request_of([row_of(5, 4)]), unnamed])

    assert [name for name, _ in rows_of(merged)[1].positions] == ["A", None, "C"]


def test_each_request_keeps_its_own_tags():
    """Also a request without tags, before and after one with tags."""
    plain, tagged = request_of([row_of(2, 2)]), request_of([row_of(1, 1)])
    plain = replace(plain, tags=())

    assert [row.tags for row in rows_of(merge_requests([plain, tagged, plain]))] == [
        {},
        {"desk": "d1"},
        {},
    ]
    assert merge_requests([plain, plain]).tags == ()


def test_slices_of_larger_arrays_may_be_merged():
    """Their offsets do not start at 0 in the larger arrays."""
    row = Row("p", [("A", 1.0)], 2.0, 3.0, {})
    request = request_of([row])
    cash = pa.array([9.0, 2.0])[1:]

    assert rows_of(merge_requests([replace(request, cash=cash), request])) == [row, row]
