"""The portfolios of the users, and their calls."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks import inputs
from benchmarks.load.driving import Request
from risk_tasks.client import RiskClient
from risk_tasks.errors import RiskTasksError
from risk_tasks.model.market import MarketSnapshot

#: not `default`: a shared system keeps its own market
MARKET = "load-test"
N_OBSERVATIONS = 250


def publish(risk: RiskClient) -> MarketSnapshot:
    """Publish the market of the benchmarks under its own name, and return the name."""
    snapshot = inputs.market(N_OBSERVATIONS)
    risk.publish_market(snapshot, name=MARKET)
    return snapshot


def shares(positions: pa.Table, n: int, n_users: int) -> list[pa.Table]:
    """Return the first `n` portfolios of `positions` as one table per user.

    The dictionaries of a table hold only its own portfolios, as if its user had made it.
    """
    bounds = [user * n // n_users * inputs.N_POSITIONS for user in range(n_users + 1)]
    found = []
    for start, stop in pairwise(bounds):
        own = positions.slice(start, stop - start)
        ids = {
            name: own[name].cast(pa.string()).dictionary_encode()
            for name in ("portfolio_id", "instrument")
        }
        found.append(pa.table(ids | {"quantity": own["quantity"]}).combine_chunks())
    return found


def table_request(risk: RiskClient, table: pa.Table, **options: Any) -> Request:
    """Return a function that checks `table` once; an error counts for all of its portfolios."""
    n = len(table) // inputs.N_POSITIONS

    def request() -> tuple[int, int]:
        try:
            answer = risk.check_table(table, market=MARKET, **options)
        except RiskTasksError:
            return n, n
        n_ok = pc.sum(pc.equal(answer["status"], "ok")).as_py() or 0
        return n, n - n_ok

    return request


def table_requests(risk: RiskClient, tables: Sequence[pa.Table], **options: Any) -> list[Request]:
    return [table_request(risk, table, **options) for table in tables]
