"""A level of load: a number of checks outstanding at once, requested in three ways."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence

import pyarrow as pa

from benchmarks.load.books import MARKET, shares, table_requests
from benchmarks.load.driving import Call, Request, Schedule, by_round, drive
from benchmarks.load.figures import Level, Measurement, times_of
from benchmarks.load.judging import LEVEL_MS
from benchmarks.load.plan import Plan
from benchmarks.load.sequential import SequentialEngine
from risk_tasks.client import AsyncRiskClient, RiskClient
from risk_tasks.errors import RiskTasksError
from risk_tasks.model.portfolio import Portfolio

_WARM_ROUNDS = 3
#: the interval between rounds, as a multiple of the duration of one, so that rounds do not overlap
_SLACK = 2.0
_TIMEOUT_S = 120.0


def measure(
    url: str,
    outstanding: int,
    plan: Plan,
    engine: SequentialEngine,
    positions: pa.Table,
    portfolios: Sequence[Portfolio],
) -> Level:
    """Return the figures of one level; `positions` holds at least `portfolios`."""
    with RiskClient(url, timeout_s=_TIMEOUT_S) as risk:
        blocks = _blocks(risk, shares(positions, outstanding, plan.users), plan.rounds)
    first = list(portfolios[:outstanding])
    singles = asyncio.run(_singles(url, first, plan.users, plan.rounds_beside))
    sequential = engine.measure(first, plan.rounds_beside)
    return Level(outstanding, blocks, singles, sequential)


def _blocks(risk: RiskClient, tables: Sequence[pa.Table], n_rounds: int) -> Measurement:
    """Every user checks its own table when a round is due."""
    requests = table_requests(risk, tables)
    n_checks = sum(request()[0] for request in requests)
    warm_s = statistics.median(_longest_s(requests) for _ in range(_WARM_ROUNDS))
    schedule = Schedule.soon(max(LEVEL_MS.get(n_checks, 0.0) / 1e3, warm_s) * _SLACK)
    return _measurement(drive(requests, schedule, lambda number: number < n_rounds))


def _longest_s(requests: Sequence[Request]) -> float:
    """Return how long one round takes."""
    return max(call.took_s for call in drive(requests, Schedule.soon(0.0), lambda n: n < 1))


async def _singles(
    url: str, portfolios: Sequence[Portfolio], n_users: int, n_rounds: int
) -> Measurement:
    """Every user awaits its share of the checks, each as a single call, when a round is due."""
    async with AsyncRiskClient(url, timeout_s=_TIMEOUT_S) as risk:

        async def one(portfolio: Portfolio, number: int, due_s: float) -> Call:
            try:
                failed = (await risk.check(portfolio, market=MARKET)).status != "ok"
            except RiskTasksError:
                failed = True
            return Call(number, due_s, time.perf_counter() - due_s, 1, int(failed))

        async def user(own: Sequence[Portfolio], number: int, due_s: float) -> list[Call]:
            return await asyncio.gather(*(one(each, number, due_s) for each in own))

        async def one_round(number: int, due_s: float) -> list[Call]:
            await asyncio.sleep(max(due_s - time.perf_counter(), 0.0))
            own = [portfolios[user_number::n_users] for user_number in range(n_users)]
            found = await asyncio.gather(*(user(each, number, due_s) for each in own))
            return [call for calls in found for call in calls]

        warm_s = max(call.took_s for call in await one_round(0, time.perf_counter()))
        schedule = Schedule.soon(warm_s * _SLACK)
        return _measurement(
            [call for n in range(n_rounds) for call in await one_round(n, schedule.due_s(n))]
        )


def _measurement(calls: Sequence[Call]) -> Measurement:
    """`per_s` is the number of checks of a round by the time until its last answer."""
    rounds = by_round(calls)
    times = times_of(rounds)
    slowest_s = [one.percentile_s(100) or 0.0 for one in rounds]
    n_checks = sum(call.n_checks for call in calls)
    n_failed = sum(call.n_failed for call in calls)
    return Measurement(times, n_checks / sum(slowest_s), n_failed)
