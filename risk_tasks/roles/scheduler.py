"""The scheduler: RedBeat, which several may run while one holds the lock."""

from __future__ import annotations

import os
import socket
from typing import Any

import structlog
from celery.signals import beat_init

from risk_tasks.app import create_app
from risk_tasks.connection import connect
from risk_tasks.roles.logs import configure_logs
from risk_tasks.roles.presence import Presence
from risk_tasks.settings import Settings
from risk_tasks.store.roles import RoleStore

log = structlog.get_logger("risk_tasks")


def run_scheduler(settings: Settings, *, name: str | None = None) -> int:
    """Send what is due until SIGTERM or SIGINT, and return the exit code."""
    configure_logs(settings.log_level)
    name = name or f"scheduler-{os.getpid()}@{socket.gethostname()}"
    client = connect(settings.broker_url.get_secret_value(), socket_timeout_s=5.0)
    presence = Presence(RoleStore(client), "scheduler", name)

    def ready(**_: Any) -> None:
        presence.start()
        log.info("scheduler.ready", name=name)

    beat_init.connect(ready, weak=False)
    app = create_app(settings)
    try:
        app.Beat(quiet=True, loglevel=settings.log_level.upper(), hostname=name).run()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        presence.stop()
        log.info("scheduler.stopped", name=name)
    return 0
