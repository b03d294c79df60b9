"""The grammar of check ids: written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.client.check_ids import CheckId
from risk_tasks.errors import UnknownCheckError

BASE = f"{'0123456789abcdef' * 2}.7"
places = st.integers(0, 10**9 - 1)


@given(
    st.builds(
        CheckId,
        st.from_regex(r"[0-9a-f]{32}\.[0-9]{1,12}", fullmatch=True),
        st.integers(0, 999_999),
        st.none() | st.tuples(places, places),
    )
)
def test_an_id_is_read_as_it_was_written(check_id):
    assert CheckId.parse(str(check_id)) == check_id


def test_an_id_names_its_blocks_and_perhaps_a_range_of_rows():
    assert CheckId.parse(f"{BASE}.1").rows is None
    assert CheckId.parse(f"{BASE}.2:1-3").rows == (1, 3)
    assert list(CheckId.parse(f"{BASE}.2:1-3").block_ids()) == [f"{BASE}.0of2", f"{BASE}.1of2"]
    assert str(CheckId.parse(f"{BASE}.2").of_rows(1, 3)) == f"{BASE}.2:1-3"


BAD = ["", "nonsense", "a.0.1", BASE, f"{BASE}.x", f"{BASE}.1234567", f"{BASE}.1:", f"{BASE}.1:2"]
BAD += [f"{BASE}.1:-2", f"{BASE}.²", f"{BASE}.1\n", f"{BASE.upper()}.1"]


@pytest.mark.parametrize("text", [None, 7, *BAD])
def test_any_other_text_is_an_unknown_check(text):
    with pytest.raises(UnknownCheckError):
        CheckId.parse(text)
