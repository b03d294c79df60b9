"""The gain of shards for the workers' local cache, and the cost of shards without it.

Hit ratio: portfolios of a Zipf law through fleets of 1, 2 and 4 workers over 16 shards, by a client
that sends by owner and by one without shards, in alternation. Throughput: two workers over 16
shards and two over one, whose rounds alternate. Imbalance: single checks of a Zipf law that are not
cached, over 64 shards and four workers that are never idle.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import msgspec
import numpy as np
import redis

from benchmarks import inputs
from benchmarks.output import print_rows, write
from risk_tasks.client import RiskClient
from risk_tasks.client.blocking import Handle
from risk_tasks.connection import connect
from risk_tasks.embedding import Fleet, FleetPlan, running_fleet
from risk_tasks.keys import slot_key
from risk_tasks.model.measures import MeasureSettings
from risk_tasks.queues import Lane
from risk_tasks.store.roles import CacheCountsStore
from risk_tasks.store.shards import ShardStore
from risk_tasks.store.telemetry import Slot

N_SHARDS, N_BOOKS, N_PER_CALL, N_CALLS = 16, 1_000, 50, 60
N_CHECKS, N_ROUNDS = 50_000, 15
N_LONE, N_OUTSTANDING = 2_000, 300
MEASURE = "monte_carlo_value_at_risk"


def run() -> None:
    ratios = {
        f"local hits, {n} workers, {way}": found
        for n in (1, 2, 4)
        for way, found in _hit_ratios(n).items()
    }
    print_rows("share of all look-ups", ratios)
    ratios |= {"largest share of a Zipf load": [_imbalance()]}
    rows = _throughput()
    print_rows(f"ms for {N_CHECKS:,} checks", rows)
    pairs = zip(rows[f"{N_SHARDS} shards"], rows["1 shard"], strict=True)
    cost = statistics.median(many / one for many, one in pairs) - 1
    print(f"{N_SHARDS} shards cost {cost:+.1%} of the time (median of {N_ROUNDS} pairs)")
    sizes = {"shards": N_SHARDS, "books": N_BOOKS, "calls": N_CALLS, "checks": N_CHECKS}
    write("shards", sizes, ratios | rows)


def _hit_ratios(n_workers: int) -> dict[str, list[float]]:
    """Return by way the ratio in each of two turns, each of which begins with an empty cache."""
    found: dict[str, list[float]] = {"by owner": [], "by chance": []}
    books = inputs.portfolios(N_BOOKS)
    with _fleet(n_workers, N_SHARDS) as (fleet, _):
        counts = CacheCountsStore(connect(fleet.url))
        for turn in range(2):
            for number, way in enumerate(found):
                with RiskClient(fleet.url, timeout_s=120) as client:
                    if way == "by chance":
                        router = client._connection._router  # noqa: SLF001 - as an old client
                        router.set_n_shards = lambda _: None
                    else:
                        client.check(books[0])
                    before = _settled(counts)
                    # Another seed, so that the results of the other way are not found.
                    _check_books(client, books, seed=2 * turn + number)
                    found[way].append(_ratio(before, _settled(counts)))
    return found


def _check_books(risk: RiskClient, books: list, seed: int) -> None:
    dice = np.random.default_rng(9)
    weight = np.arange(1, len(books) + 1) ** -1.1
    settings = MeasureSettings(seed=seed)
    for _ in range(N_CALLS):
        chosen = dice.choice(len(books), N_PER_CALL, p=weight / weight.sum())
        risk.check_many([books[one] for one in chosen], measures=[MEASURE], settings=settings)


def _settled(counts: CacheCountsStore) -> dict[str, float]:
    time.sleep(2.5)
    return counts.sums()


def _ratio(before: dict[str, float], after: dict[str, float]) -> float:
    hits, misses = (
        after.get(name, 0.0) - before.get(name, 0.0) for name in ("local_hits", "local_misses")
    )
    return hits / (hits + misses)


def _imbalance() -> float:
    """Return the checks of the busiest worker over the mean."""
    dice, books = np.random.default_rng(9), inputs.portfolios(N_BOOKS)
    weight = np.arange(1, len(books) + 1) ** -1.1
    waiting: deque[Handle] = deque()
    with _fleet(4, 64) as (fleet, risk):
        for number, one in enumerate(dice.choice(N_BOOKS, N_LONE, p=weight / weight.sum())):
            settings = MeasureSettings(seed=number)
            waiting.append(risk.submit([books[one]], measures=[MEASURE], settings=settings))
            if len(waiting) > N_OUTSTANDING:
                waiting.popleft().result()
        while waiting:
            waiting.popleft().result()
        time.sleep(2.5)
        computed = _computed(connect(fleet.url))
    return max(computed) * len(computed) / sum(computed)


def _computed(client: redis.Redis) -> list[int]:
    """Return the number of checks that each worker ended, by its own measurements."""
    sums: Counter[str] = Counter()
    for key in client.scan_iter(match=slot_key("*"), count=1_000):
        _, worker = key.decode().removeprefix(slot_key("")).split(":", 1)
        slot = msgspec.json.decode(client.get(key), type=Slot)
        sums[worker] += sum(lane.n_checks for lane in slot.lanes.values())
    return list(sums.values())


def _throughput() -> dict[str, list[float]]:
    table = inputs.table(N_CHECKS, encoded=True)
    with ExitStack() as stack:
        clients = {
            name: stack.enter_context(_fleet(2, n_shards))[1]
            for name, n_shards in ((f"{N_SHARDS} shards", N_SHARDS), ("1 shard", 1))
        }
        ways: dict[str, Callable[[], object]] = {
            name: lambda risk=risk: risk.check_table(table) for name, risk in clients.items()
        }
        for way in ways.values():
            way()
            way()
        rows: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(N_ROUNDS):
            # The second of the two finds the data of the first in the processor's caches.
            for name in sorted(ways, reverse=bool(number % 2)):
                started = time.perf_counter()
                ways[name]()
                rows[name].append((time.perf_counter() - started) * 1e3)
    return rows


@contextmanager
def _fleet(n_workers: int, n_shards: int) -> Iterator[tuple[Fleet, RiskClient]]:
    """Run workers that have divided the shards among them."""
    with (
        running_fleet(FleetPlan(n_workers=n_workers, n_shards=n_shards)) as fleet,
        RiskClient(fleet.url, timeout_s=120) as risk,
    ):
        risk.publish_market(inputs.market(250))
        store, give_up_at = ShardStore(connect(fleet.url)), time.monotonic() + 30
        while n_shards > 1 and not _is_shared(store, n_workers, n_shards):
            if time.monotonic() > give_up_at:
                raise TimeoutError("The shards were not shared.")
            time.sleep(0.1)
        yield fleet, risk


def _is_shared(store: ShardStore, n_workers: int, n_shards: int) -> bool:
    leases = store.leases(Lane.NORMAL)
    return len(leases) == n_shards and len(set(leases.values())) == n_workers
