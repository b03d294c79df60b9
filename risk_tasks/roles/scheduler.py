"""The scheduler: RedBeat and the reaper, each with a lock that one of several holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis
import structlog
from celery.signals import beat_init

from risk_tasks.app import create_app
from risk_tasks.broker.heartbeat import Heartbeat
from risk_tasks.connection import connect
from risk_tasks.roles.live import live_upkeep
from risk_tasks.roles.logs import configure_logs
from risk_tasks.roles.metrics import endpoint_fields, open_endpoint
from risk_tasks.roles.presence import Presence, Repeater, unique_name
from risk_tasks.roles.schedule import Schedule
from risk_tasks.settings import Settings
from risk_tasks.store.roles import RoleStore
from risk_tasks.upkeep.ledger import Reaper

if TYPE_CHECKING:
    from risk_tasks.monitoring.prometheus import Collector

log = structlog.get_logger("risk_tasks")

_REAP_EVERY_S = 0.5


def run_scheduler(
    settings: Settings, *, name: str | None = None, schedule: Schedule | None = None
) -> int:
    """Send what is due until SIGTERM or SIGINT, and return the exit code."""
    configure_logs(settings.log_level, settings.log_format)
    name = name or unique_name("scheduler")
    client = connect(settings.broker_url.get_secret_value(), socket_timeout_s=5.0)
    endpoint = open_endpoint(settings, "scheduler", lambda: _server_metrics(client))
    reaper, heartbeat = Reaper(client), Heartbeat(settings.heartbeat_file)

    def look_after() -> None:
        reaper.reap()
        heartbeat.beat()

    upkeep: list[Repeater | Presence] = [
        Repeater(look_after, every_s=_REAP_EVERY_S, name="reaper"),
        *live_upkeep(settings, client),
        Presence(RoleStore(client), "scheduler", name),
    ]

    def ready(**_: Any) -> None:
        for part in upkeep:
            part.start()
        log.info("scheduler.ready", name=name, **endpoint_fields(endpoint))

    beat_init.connect(ready, weak=False)
    app = create_app(settings)
    app.conf.beat_schedule = (schedule or Schedule()).entries()
    # Not among the settings of the app: workers tell those to whoever asks, Flower for one.
    app.conf.redbeat_redis_url = settings.broker_url.get_secret_value()
    try:
        app.Beat(quiet=True, loglevel=settings.log_level.upper(), hostname=name).run()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        for part in reversed(upkeep):
            part.stop()
        if endpoint is not None:
            endpoint.close()
        log.info("scheduler.stopped", name=name)
    return 0


def _server_metrics(client: redis.Redis) -> Collector:
    from risk_tasks.monitoring.prometheus import ServerMetrics

    return ServerMetrics(client)
