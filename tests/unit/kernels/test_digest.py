"""The hash of each row of a block, against the hash of the standard library."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.kernels.digest import row_digests

WORDS = st.integers(0, 2**64 - 1)


def digests(
    sizes: Sequence[int], head: Sequence[int], words: npt.NDArray[np.uint64]
) -> list[bytes]:
    offsets = np.cumsum([0, *sizes], dtype=np.int64)
    out = np.zeros((len(sizes), 2), dtype=np.uint64)
    with np.errstate(over="ignore"):
        row_digests(offsets, np.array(head, dtype=np.uint64), words, out)
    return [row.tobytes() for row in out]


def expected(
    sizes: Sequence[int], head: Sequence[int], words: npt.NDArray[np.uint64]
) -> list[bytes]:
    start, found = 0, []
    for size in sizes:
        data = np.array(head, dtype="<u8").tobytes() + words[start : start + size].tobytes()
        found.append(hashlib.blake2b(data, digest_size=16).digest())
        start += size
    return found


@given(
    st.lists(st.integers(0, 20), max_size=4),
    st.lists(WORDS, min_size=1, max_size=20),
    st.integers(1, 3),
    st.integers(0, 2**32),
)
def test_rows_have_the_hash_of_the_standard_library(
    sizes: list[int], head: list[int], width: int, seed: int
) -> None:
    words = np.random.default_rng(seed).integers(
        0, 2**64 - 1, (sum(sizes), width), dtype=np.uint64, endpoint=True
    )
    assert digests(sizes, head, words) == expected(sizes, head, words)


@pytest.mark.parametrize("n_words", [1, 15, 16, 17, 31, 32, 33, 48])
def test_a_row_that_ends_with_a_block_of_the_hash(n_words: int) -> None:
    words = np.arange(n_words - 1, dtype=np.uint64)[:, None]
    assert digests([n_words - 1], [7], words) == expected([n_words - 1], [7], words)
