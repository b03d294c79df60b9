"""The worker: it compiles the standard kernels, loads markets, and runs a Celery worker."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import redis
from cachetools import LRUCache, cached
from celery import Celery
from celery.signals import worker_ready, worker_shutting_down

from risk_tasks import tasks
from risk_tasks.app import create_app
from risk_tasks.broker.blocks import BlockBroker
from risk_tasks.broker.consumer import Order, with_channel
from risk_tasks.broker.serving import SlotPool
from risk_tasks.connection import connect, read_clock
from risk_tasks.errors import InvalidSettingsError
from risk_tasks.log import log
from risk_tasks.model.limits import LimitSet
from risk_tasks.queues import Lane, queues_of
from risk_tasks.roles.compiling import KernelSupply
from risk_tasks.roles.logs import configure_logs
from risk_tasks.roles.markets import MarketPreloader
from risk_tasks.roles.memory import keep_memory
from risk_tasks.roles.metrics import WorkerMonitoring, endpoint_fields
from risk_tasks.roles.outage import when_available
from risk_tasks.roles.presence import Presence, Repeater, unique_name
from risk_tasks.roles.refusals import Refusals
from risk_tasks.roles.result_cache import CacheReport, open_cache
from risk_tasks.roles.shards import ServedShards
from risk_tasks.roles.watchdog import Watchdog
from risk_tasks.server_clock import ServerClock
from risk_tasks.service import (
    DocumentService,
    LimitMatches,
    LiveRecorder,
    MarketCache,
    Popularity,
    PositionService,
    Prewarmer,
    ResultCache,
    Service,
)
from risk_tasks.settings import Settings
from risk_tasks.store.breaches import BreachStream, ListenerStore
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.store.prewarm import PopularityStore, PrewarmStore
from risk_tasks.store.published import LimitStore, MarketStore
from risk_tasks.store.recompute import RecomputeStore
from risk_tasks.store.roles import CacheCountsStore, RoleStore, RunningRole
from risk_tasks.store.shards import ShardStore
from risk_tasks.upkeep.breach_dispatch import BreachDispatch

#: interval at which popularity and cache counts are sent to the server
_FLUSH_EVERY_S = 1.0
#: interval of heartbeat events; Flower expects two. At longer intervals each needs a PING first
_EVENT_HEARTBEAT_S = 4.0
#: niceness of a worker that serves only the batch lane
_BATCH_NICENESS = 10


def read_lanes(text: str) -> list[Lane]:
    """Return the lanes in `text`, separated by commas; raises `InvalidSettingsError`."""
    try:
        lanes = [Lane(name.strip()) for name in text.split(",") if name.strip()]
    except ValueError:
        lanes = []
    if not lanes:
        raise InvalidSettingsError(
            f"Unknown lanes {text!r}: expected some of {','.join(Lane)}.",
            field="lanes",
            remedy="Separate the lanes by commas.",
        )
    return lanes


def run_worker(settings: Settings, *, name: str | None = None) -> int:
    """Serve until SIGTERM or SIGINT, finish the started messages, and return the exit code."""
    configure_logs(settings.log_level, settings.log_format)
    keep_memory()
    lanes = read_lanes(settings.lanes)
    if lanes == [Lane.BATCH]:
        os.nice(_BATCH_NICENESS)
    name = name or unique_name("worker")
    client = connect(
        settings.broker_url.get_secret_value(),
        socket_timeout_s=5.0,
        replicas_required=settings.replicas_required,
    )
    n_shards = when_available(lambda: _agree(client, settings), timeout_s=settings.start_timeout_s)
    markets, limits = MarketStore(client), LimitStore(client)
    market_cache = MarketCache(markets.load, capacity=settings.markets_held)
    cache, popular = open_cache(settings), PopularityStore(client)
    popularity = Popularity(popular)
    results = ResultCache(cache.flights, ttl_s=cache.ttl_s, popularity=popularity)
    # A version of a limit set never changes.
    load_limits: Callable[[str], LimitSet]
    load_limits = cached(LRUCache(64), lock=threading.Lock())(limits.load)
    live = LiveRecorder(RecomputeStore(client), load_limits)
    matches = LimitMatches()
    service = Service(market_cache, load_limits, results, live, matches)
    prewarmer = Prewarmer(
        PrewarmStore(client), popular, markets, market_cache.get, results, ttl_s=cache.ttl_s
    )
    counts = CacheReport(cache, CacheCountsStore(client), name, results.drain)
    kernels = KernelSupply()
    metrics = WorkerMonitoring(settings, client, name, cache, kernels, matches)
    documents = DocumentService(service, markets, limits)
    shards = ServedShards(ShardStore(client), name, lanes, n_shards)
    kernels.prepare()
    app = create_app(settings, n_shards=n_shards)
    watchdog, refusals = _guard(app, settings, client, name, shards.order if n_shards > 1 else None)
    tasks.register(app, service, documents, BlockBroker(client), metrics.record)
    tasks.register_prewarming(app, prewarmer)
    tasks.register_live(
        app,
        PositionService(PortfolioStore(client)),
        BreachDispatch(ListenerStore(client), BreachStream(client)),
    )

    preloader = MarketPreloader(market_cache.get)
    presence = _presence(app, client, name, lanes, preloader, kernels)
    kernels.changed = lambda: presence.update(**kernels.state)
    upkeep: list[
        Repeater | Presence | WorkerMonitoring | ServedShards | MarketPreloader | KernelSupply
    ] = [
        metrics,
        preloader,
        Repeater(popularity.flush, every_s=_FLUSH_EVERY_S, name="popularity"),
        Repeater(counts.flush, every_s=_FLUSH_EVERY_S, name="cache-counts"),
        presence,
        kernels,
        shards,
        refusals,
    ]

    def ready(**_: Any) -> None:
        for part in upkeep:
            part.start()
        log.info(
            "worker.ready", name=name, lanes=",".join(lanes), **endpoint_fields(metrics.endpoint)
        )

    def draining(**_: Any) -> None:
        log.info("worker.draining", name=name)
        watchdog.cease()
        shards.drain()

    worker_ready.connect(ready, weak=False)
    worker_shutting_down.connect(draining, weak=False)
    try:
        queues = [queue for lane in lanes for queue in queues_of(lane, n_shards)]
        return _serve(app, settings, name, queues)
    finally:
        for part in reversed(upkeep):
            part.stop()
        log.info("worker.stopped", name=name)


def _guard(
    app: Celery,
    settings: Settings,
    client: redis.Redis,
    name: str,
    order: Callable[[], Order] | None,
) -> tuple[Watchdog, Refusals]:
    """Watch each new connection of `app`, answer its refused messages, and fetch in `order`."""
    roles, refusals = RoleStore(client), Refusals(app.backend.store_first)
    watchdog = Watchdog(
        lambda: roles.probe(name),
        SlotPool.slots,
        n_slots=settings.concurrency,
        timeout_s=settings.stall_timeout_s,
    )

    def on_channel(channel: Any) -> None:
        if order is not None:
            channel._queue_cycle.follow(order)  # noqa: SLF001
        channel.client.on_refused = refusals.add
        watchdog.watch(channel)

    app.steps["consumer"].add(with_channel(on_channel, watchdog.ticked))
    watchdog.start()
    return watchdog, refusals


def _presence(
    app: Celery,
    client: redis.Redis,
    name: str,
    lanes: Sequence[Lane],
    preloader: MarketPreloader,
    kernels: KernelSupply,
) -> Presence:
    """Return the entry of the worker; its renewal reads the clock and the current markets."""
    roles, clock = RoleStore(client), ServerClock()
    app.now = clock.now

    def renew(role: RunningRole) -> None:
        # Renews the entry and reads the current markets in one round trip.
        preloader.set_current(roles.renew_and_read_markets(role))
        if clock.is_due():
            read_clock(client, clock)

    return Presence(roles, "worker", name, ",".join(lanes), renew, **kernels.state)


def _agree(client: redis.Redis, settings: Settings) -> int:
    """Return the number of shards; raises `ShardCountError` if other roles use another number."""
    is_served = any(role.role == "worker" for role in RoleStore(client).running())
    return ShardStore(client).agree(settings.shards, is_served=is_served)


def _serve(app: Any, settings: Settings, name: str, queues: Sequence[str]) -> int:
    worker = app.Worker(
        hostname=name,
        pool_cls=SlotPool,
        concurrency=settings.concurrency,
        queues=queues,
        loglevel=settings.log_level.upper(),
        quiet=True,
        heartbeat_interval=_EVENT_HEARTBEAT_S,
        without_gossip=True,
        without_mingle=True,
    )
    try:
        worker.start()
    except SystemExit as stop:
        return int(stop.code or 0)
    return int(worker.exitcode or 0)
