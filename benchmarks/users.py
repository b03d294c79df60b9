"""Ten users who each await thousands of single checks; Celery with a message per check."""

from __future__ import annotations

import asyncio
import time

from benchmarks import inputs
from benchmarks.output import print_percentiles, write
from benchmarks.peers.run import measure
from risk_tasks.client import AsyncRiskClient
from risk_tasks.embedding import FleetPlan, running_fleet
from risk_tasks.model.portfolio import Portfolio

N_USERS, OUTSTANDING, N_BY_CELERY = 10, (500, 1_000, 5_000, 20_000, 50_000), 2_000


async def _as_users(url: str, portfolios: list[Portfolio]) -> dict[int, tuple[float, list[float]]]:
    """Return for each number outstanding the total time and the time of each check in ms."""
    found: dict[int, tuple[float, list[float]]] = {}
    async with AsyncRiskClient(url, timeout_s=120) as risk:
        await risk.publish_market(inputs.market(250))
        await asyncio.gather(*map(risk.check, portfolios[:1_000]))
        for n in OUTSTANDING:
            took: list[float] = []

            async def one(portfolio: Portfolio, took: list[float] = took) -> None:
                started = time.perf_counter()
                await risk.check(portfolio)
                took.append((time.perf_counter() - started) * 1e3)

            async def user(number: int, n: int = n) -> None:
                own = portfolios[number * n // N_USERS : (number + 1) * n // N_USERS]
                await asyncio.gather(*map(one, own))

            started = time.perf_counter()
            await asyncio.gather(*map(user, range(N_USERS)))
            found[n] = time.perf_counter() - started, took
    return found


def run() -> None:
    portfolios = inputs.portfolios(max(OUTSTANDING))
    with running_fleet(FleetPlan(n_workers=2, critical_worker=True, scheduler=True)) as fleet:
        found = asyncio.run(_as_users(fleet.url, portfolios))
    celery = measure(
        "celery",
        inputs.market(250),
        job="check",
        mode="users",
        n_checks=N_BY_CELERY,
        n_users=N_USERS,
    )
    print_percentiles(
        "ms of one check", {f"{n:,} outstanding": took for n, (_, took) in found.items()}
    )
    per_s = {n: n / seconds for n, (seconds, _) in found.items()}
    by_celery = N_BY_CELERY / celery["seconds"][0]
    for n, rate in per_s.items():
        print(f"{n:,}: {rate:,.0f} checks/s, {rate / by_celery:.1f}x Celery ({by_celery:,.0f}/s)")
    rows = {f"checks per s at {n}": [rate] for n, rate in per_s.items()}
    write("users", {"users": N_USERS}, rows | {"celery": [by_celery]})
