"""The scheduler: schedule, RedBeat and reaper. Of several schedulers, one holds each lock."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from celery.signals import beat_init

from risk_tasks.app import create_app, redbeat_settings
from risk_tasks.broker.heartbeat import Heartbeat
from risk_tasks.connection import connect, read_clock
from risk_tasks.errors import InputFileError
from risk_tasks.log import log
from risk_tasks.monitoring.prometheus import ServerMetrics
from risk_tasks.queues import LANE_OF_KIND, PREWARM_TASK, SWEEP_TASK
from risk_tasks.readers.files import path_of, read_text
from risk_tasks.roles.beat import EnduringScheduler
from risk_tasks.roles.live import live_upkeep
from risk_tasks.roles.logs import configure_logs
from risk_tasks.roles.metrics import endpoint_fields, open_endpoint
from risk_tasks.roles.outage import when_available
from risk_tasks.roles.presence import Presence, Repeater, unique_name
from risk_tasks.server_clock import ServerClock
from risk_tasks.server_url import ServerUrl
from risk_tasks.settings import Settings
from risk_tasks.store.prewarm import PrewarmPolicy
from risk_tasks.store.roles import RoleStore
from risk_tasks.upkeep.ledger import Reaper

_REAP_EVERY_S = 0.5


class SweepPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The interval of the sweep, which removes abandoned blocks and replies."""

    every_s: float = 10.0


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The periodic tasks; `prewarm.n_requests` of 0 disables prewarming."""

    sweep: SweepPlan = SweepPlan()
    prewarm: PrewarmPolicy = PrewarmPolicy()

    def entries(self) -> dict[str, dict[str, Any]]:
        """Return a beat schedule of Celery."""
        entries = {SWEEP_TASK: _entry(SWEEP_TASK, self.sweep.every_s, {})}
        if self.prewarm.n_requests:
            policy = msgspec.structs.asdict(self.prewarm)
            entries[PREWARM_TASK] = _entry(PREWARM_TASK, self.prewarm.every_s, policy)
        return entries


def read_schedule(path: str | os.PathLike[str]) -> Schedule:
    """Return the schedule of a TOML file; raises `InputFileError` naming file and key."""
    file: Path = path_of(path)
    try:
        schedule = msgspec.toml.decode(read_text(file), type=Schedule)
    except msgspec.MsgspecError as failure:
        message, _, key = str(failure).partition(" - at `$.")
        raise InputFileError(
            f"{message}.", field=", ".join(filter(None, (file.name, key.rstrip("`"))))
        ) from failure
    for name, seconds in (("sweep", schedule.sweep.every_s), ("prewarm", schedule.prewarm.every_s)):
        if not 0 < seconds <= 86_400:
            raise InputFileError(
                f"every_s is {seconds!r}: expected more than 0, at most 86400.",
                field=f"{file.name}, {name}.every_s",
                remedy="Give a number of seconds.",
            )
    return schedule


def _entry(task: str, every_s: float, kwargs: dict[str, Any]) -> dict[str, Any]:
    options = {"queue": LANE_OF_KIND[task].queue, "expires": every_s}
    return {"task": task, "schedule": every_s, "kwargs": kwargs, "options": options}


def run_scheduler(
    settings: Settings, *, name: str | None = None, schedule: Schedule | None = None
) -> int:
    """Send tasks when they are due until SIGTERM or SIGINT, and return the exit code."""
    configure_logs(settings.log_level, settings.log_format)
    name = name or unique_name("scheduler")
    client = connect(settings.broker_url.get_secret_value(), socket_timeout_s=5.0)
    clock = ServerClock()
    when_available(lambda: read_clock(client, clock), timeout_s=settings.start_timeout_s)
    endpoint = open_endpoint(settings, "scheduler", ServerMetrics(client))
    reaper, heartbeat = Reaper(client), Heartbeat(settings.heartbeat_file)

    def reap() -> None:
        reaper.reap()
        heartbeat.beat()

    upkeep: list[Repeater | Presence] = [
        Repeater(reap, every_s=_REAP_EVERY_S, name="reaper"),
        *live_upkeep(settings, client),
        Presence(RoleStore(client), "scheduler", name),
    ]

    def ready(**_: Any) -> None:
        for part in upkeep:
            part.start()
        log.info("scheduler.ready", name=name, **endpoint_fields(endpoint))

    beat_init.connect(ready, weak=False)
    app = create_app(settings)
    app.now = clock.now
    app.conf.beat_schedule = (schedule or Schedule()).entries()
    # Not in the settings of the app, which workers return to every inspector, such as Flower.
    app.conf.update(redbeat_settings(ServerUrl.parse(settings.broker_url.get_secret_value())))
    beat = app.Beat(
        quiet=True,
        loglevel=settings.log_level.upper(),
        hostname=name,
        scheduler_cls=partial(EnduringScheduler, client=client, clock=clock),
    )
    try:
        beat.run()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        for part in reversed(upkeep):
            part.stop()
        if endpoint is not None:
            endpoint.close()
        log.info("scheduler.stopped", name=name)
    return 0
