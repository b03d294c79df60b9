"""The job of the batched peers: one message carries many checks, and our kernels compute them.

A batched peer does by hand what a block does: the caller cuts its portfolios into messages, and the
worker computes a message in one call of the kernels that our own workers use. It has no ledger, no
deadline, no names of markets and no limits. Messages are msgpack.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from benchmarks import floor
from benchmarks.peers import job

#: checks in a message
PER_MESSAGE = 1_000
#: rows of `floor.compute` that `job.check` computes too
_ROWS = {
    "market_value": 0,
    "gross_exposure": 1,
    "net_exposure": 2,
    "long_exposure": 3,
    "short_exposure": 4,
    "concentration": 6,
    "herfindahl": 7,
    "volatility": 8,
    "parametric_value_at_risk": 9,
    "value_at_risk": 10,
    "expected_shortfall": 11,
}


def messages(portfolios: list[dict[str, Any]]) -> Iterator[bytes]:
    """Yield the messages of a call, each with up to `PER_MESSAGE` portfolios."""
    for start in range(0, len(portfolios), PER_MESSAGE):
        yield msgspec.msgpack.encode(portfolios[start : start + PER_MESSAGE])


def check_message(message: bytes) -> bytes:
    """Return the measures of each portfolio of a message, a column for each measure."""
    portfolios = msgspec.msgpack.decode(message)
    market = job.market()
    positions = [portfolio["positions"] for portfolio in portfolios]
    counts = np.fromiter(map(len, positions), np.int64, len(positions))
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
    n = int(offsets[-1])
    names = chain.from_iterable(positions)
    instrument = np.fromiter(map(market.index.__getitem__, names), np.int64, n)
    values = chain.from_iterable(each.values() for each in positions)
    quantity = np.fromiter(values, np.float64, n)
    out = floor.compute(market, offsets, instrument, quantity)
    return msgspec.msgpack.encode({name: out[row].tolist() for name, row in _ROWS.items()})


def reports(answers: list[bytes]) -> list[dict[str, float]]:
    """Return a dictionary for each check, as `job.check` does."""
    found: list[dict[str, float]] = []
    for answer in answers:
        columns = msgspec.msgpack.decode(answer)
        found += [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
    return found


def check_all(portfolios: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Do in this process what the workers do; the results have the same bits."""
    return reports([check_message(message) for message in messages(portfolios)])
