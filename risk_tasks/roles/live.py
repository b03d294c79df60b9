"""The work of a scheduler for live portfolios; several schedulers may do it at the same time."""

from __future__ import annotations

import redis

from risk_tasks.broker.blocks import BlockBroker
from risk_tasks.broker.dead_letters import DeadLetters
from risk_tasks.roles.presence import Repeater
from risk_tasks.settings import Settings
from risk_tasks.store.breaches import BreachStream, ListenerStore
from risk_tasks.store.published import LimitStore
from risk_tasks.store.recompute import RecomputeStore
from risk_tasks.upkeep.breach_dispatch import BreachDispatch
from risk_tasks.upkeep.recompute import LiveCollector, LivePolicy, LiveRetry

_RETRY_EVERY_S = 1.0


def live_upkeep(settings: Settings, client: redis.Redis) -> list[Repeater]:
    """Return the threads that collect portfolios and retry those without a result."""
    policy = LivePolicy(
        batch_size=settings.live_batch_size,
        window_ms=settings.live_window_ms,
        refresh_per_s=settings.live_refresh_per_s,
        visibility_timeout_s=settings.live_visibility_timeout_s,
        max_attempts=settings.live_max_attempts,
        max_in_progress=settings.live_max_in_progress,
    )
    store = RecomputeStore(client)
    collector = LiveCollector(store, BlockBroker(client), policy)
    retry = LiveRetry(store, LimitStore(client), DeadLetters(client), policy)
    dispatch = BreachDispatch(ListenerStore(client), BreachStream(client))

    def retry_and_dispatch() -> None:
        retry.step()
        dispatch.request()

    return [
        Repeater(collector.step, every_s=0.0, name="live-collector"),
        Repeater(retry_and_dispatch, every_s=_RETRY_EVERY_S, name="live-retry"),
    ]
