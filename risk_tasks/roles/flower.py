"""Flower beside a system: it looks, and changes nothing but whether workers tell of their tasks."""

from __future__ import annotations

import signal
from typing import Any

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from risk_tasks.app import create_app
from risk_tasks.connection import connect
from risk_tasks.errors import InvalidSettingsError
from risk_tasks.roles.logs import configure_logs
from risk_tasks.roles.presence import Presence, name_of_a_life
from risk_tasks.settings import FLOWER_USER, PREFIX, Settings
from risk_tasks.store.roles import RoleStore

log = structlog.get_logger("risk_tasks")

_COLUMNS = "name,args,state,result,received,runtime,worker,uuid"
#: what it remembers: about 2 KiB each
_TASKS_HELD = 20_000


def run_flower(settings: Settings, *, address: str, port: int, name: str | None = None) -> int:
    """Serve on `address` until SIGTERM or SIGINT, and return the exit code.

    Flower asks workers for the events of their tasks when it starts; they are asked to stop when
    it does. Raises `InvalidSettingsError` without a password.
    """
    from tornado.options import options

    configure_logs(settings.log_level)
    if settings.flower_password is None or not settings.flower_password.get_secret_value():
        raise InvalidSettingsError(
            "Flower does not start without a password.",
            field=f"{PREFIX}FLOWER_PASSWORD",
            remedy=f"Name a file that holds one in {PREFIX}FLOWER_PASSWORD_FILE.",
        )
    app = create_app(settings)
    # It looks up a server by its URL's scheme, and fetches nothing that would need a guard.
    app.conf.broker_transport = None
    web = _site(app, options, f"{FLOWER_USER}:{settings.flower_password.get_secret_value()}")
    options.address, options.port = address, port
    web.start_http_server()
    name = name or name_of_a_life("flower")
    client = connect(settings.broker_url.get_secret_value(), socket_timeout_s=5.0)
    presence = Presence(RoleStore(client), "flower", name)

    def ready() -> None:
        presence.start()
        log.info("flower.ready", name=name, address=address, port=port)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: web.io_loop.add_callback_from_signal(web.stop))
    web.io_loop.add_callback(ready)
    try:
        web.start()
    finally:
        presence.stop()
        _silence(app)
        log.info("flower.stopped", name=name)
    return 0


def _site(app: Celery, options: Any, credentials: str) -> Any:
    """Return Flower's site, read-only, with nothing but its health open to those without password.

    Importing Flower is what defines its options.
    """
    from flower.app import Flower
    from flower.urls import settings as site
    from flower.views.monitor import Metrics
    from tornado.web import authenticated

    class LockedMetrics(Metrics):
        """Names of workers and tasks are for those who may see the pages."""

        get = authenticated(Metrics.get)

    options.basic_auth = [credentials]
    options.read_only = True
    options.tasks_columns = _COLUMNS
    options.max_tasks = _TASKS_HELD
    options.purge_offline_workers = 600
    web = Flower(capp=app, options=options, **site)
    web.add_handlers(r".*", [(r"/metrics", LockedMetrics)])
    return web


def _silence(app: Celery) -> None:
    """Ask workers to tell of their tasks no more; another Flower would ask them again."""
    try:
        app.control.disable_events()
    except OperationalError as error:
        log.warning("flower.events_left_on", error=str(error))
