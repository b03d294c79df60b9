"""The settings of the app that `inspect conf` shows."""

from __future__ import annotations

from celery.app.control import Inspect
from celery.worker.control import Panel

from risk_tasks.app import create_app
from risk_tasks.settings import Settings

SECRET = "hunter2"


def test_inspect_conf_does_not_show_the_password():
    """Flower shows `inspect conf` of each worker."""
    url = f"redis://:{SECRET}@host:6379/0"
    app = create_app(Settings.read(broker_url=url, result_url=url, heartbeat_file="/run/heartbeat"))

    shown = str(Panel.data["conf"](_State(app), with_defaults=True))

    assert hasattr(Inspect, "conf")
    assert "visibility_timeout" in shown
    assert SECRET not in shown


class _State:
    def __init__(self, app: object) -> None:
        self.app = app


def test_the_default_result_backend_is_the_broker():
    broker, results = "redis://one:1/0", "redis://two:2/0"

    assert create_app(Settings.read(broker_url=broker)).conf.result_backend == broker
    both = Settings.read(broker_url=broker, result_url=results)
    assert create_app(both).conf.result_backend == results
