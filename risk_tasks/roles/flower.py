"""Flower, read-only: its only effect is that workers publish the events of their tasks."""

from __future__ import annotations

import signal
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from risk_tasks.app import create_app
from risk_tasks.connection import connect
from risk_tasks.errors import InvalidSettingsError
from risk_tasks.log import log
from risk_tasks.roles.logs import configure_logs
from risk_tasks.roles.outage import when_available
from risk_tasks.roles.presence import Presence, unique_name
from risk_tasks.settings import FLOWER_USER, PREFIX, Settings
from risk_tasks.store.roles import RoleStore

_COLUMNS = "name,args,state,result,received,runtime,worker,uuid"
#: about 2 KiB each
_TASKS_HELD = 20_000


def run_flower(settings: Settings, *, address: str, port: int, name: str | None = None) -> int:
    """Serve on `address` until SIGTERM or SIGINT, and return the exit code.

    Flower enables the task events of all workers when it starts, and disables them when it stops.
    Raises `InvalidSettingsError` without a password.
    """
    from tornado.options import options

    configure_logs(settings.log_level)
    if settings.flower_password is None or not settings.flower_password.get_secret_value():
        raise InvalidSettingsError(
            "Flower has no password: expected one.",
            field=f"{PREFIX}FLOWER_PASSWORD",
            remedy=f"Set {PREFIX}FLOWER_PASSWORD_FILE to a file with a password.",
        )
    app = create_app(settings)
    # Flower needs a transport of a standard name; it fetches no messages that a guard must check.
    app.conf.broker_transport = None
    credentials = f"{FLOWER_USER}:{settings.flower_password.get_secret_value()}"
    web = _site(app, options, credentials, settings.flower_url_prefix.strip("/"))
    options.address, options.port = address, port
    web.start_http_server()
    name = name or unique_name("flower")
    client = connect(settings.broker_url.get_secret_value(), socket_timeout_s=5.0)
    roles = RoleStore(client)
    when_available(roles.running, timeout_s=settings.start_timeout_s)
    presence = Presence(roles, "flower", name)

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
        _disable_events(app)
        log.info("flower.stopped", name=name)
    return 0


def _site(app: Celery, options: Any, credentials: str, prefix: str) -> Any:
    """Return the read-only site of Flower below `/prefix`; only its health page needs no password.

    The import of Flower defines its options.
    """
    from flower.app import Flower
    from flower.urls import settings as site
    from flower.views.monitor import Metrics
    from tornado.web import authenticated

    class AuthenticatedMetrics(Metrics):
        """Metrics contain names of workers and tasks: they need the password."""

        get = authenticated(Metrics.get)

    options.basic_auth = [credentials]
    options.read_only = True
    options.tasks_columns = _COLUMNS
    options.max_tasks = _TASKS_HELD
    options.purge_offline_workers = 600
    options.url_prefix = prefix or None
    root = f"/{prefix}" if prefix else ""
    paths = {name: root + site[name] for name in ("login_url", "static_url_prefix")}
    web = Flower(capp=app, options=options, **{**site, **paths})
    web.add_handlers(r".*", [(f"{root}/metrics", AuthenticatedMetrics)])
    return web


def _disable_events(app: Celery) -> None:
    """Disable the task events of all workers; another Flower would enable them again."""
    try:
        app.control.disable_events()
    except OperationalError as error:
        log.warning("flower.events_left_on", error=str(error))
