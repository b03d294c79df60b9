"""The shard of a portfolio: a stable definition, and an even spread over usual ids."""

from __future__ import annotations

import uuid
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_tasks.store.shards import shard_of, shards_of


def crc_32(data: bytes) -> int:
    """CRC-32 by its definition, one bit at a time."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xEDB88320 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def test_the_reference_function_gives_the_published_check_value():
    """Catalogues of CRCs have this value for the text 123456789."""
    assert crc_32(b"123456789") == 0xCBF43926


@given(st.text(max_size=20), st.integers(1, 1_024))
def test_the_shard_is_the_crc_32_of_the_id_modulo_the_number(name, n_shards):
    assert shard_of(name, n_shards) == crc_32(name.encode()) % n_shards


@given(st.lists(st.text(max_size=20)), st.integers(1, 1_024))
def test_the_shards_of_many_ids_equal_those_of_each_id(names, n_shards):
    expected = [shard_of(name, n_shards) for name in names]

    assert shards_of([name.encode() for name in names], n_shards).tolist() == expected


@pytest.mark.parametrize("n_shards", [7, 16, 24, 64])
@pytest.mark.parametrize(
    "name",
    ["portfolio-{0}", "p{0:08d}", "{0}", "desk-{1}/book-{0}", "acct-{2}", "{3}"],
)
def test_usual_ids_are_spread_evenly_over_the_shards(name, n_shards):
    dice = Random(4)
    names = [
        name.format(one, one % 40, one * 64, uuid.UUID(int=dice.getrandbits(128))).encode()
        for one in range(50_000)
    ]

    counts = np.bincount(shards_of(names, n_shards), minlength=n_shards)

    assert counts.max() <= 1.15 * counts.mean()
