"""The settings of the app that `inspect conf` shows."""

from __future__ import annotations

from celery.app.control import Inspect
from celery.worker.control import Panel

from risk_tasks.app import create_app, redbeat_settings
from risk_tasks.server_url import ServerUrl
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


def test_each_library_of_celery_gets_the_form_that_it_reads():
    """kombu, the result backend and RedBeat have three spellings for TLS, sockets and Sentinels."""
    tls = create_app(Settings.read(broker_url="rediss://host:7/2?ssl_ca_certs=/ca.crt")).conf
    assert tls.broker_url == tls.result_backend == "redis://host:7/2"
    verified = {"ssl_ca_certs": "/ca.crt", "ssl_cert_reqs": "required", "ssl_check_hostname": True}
    assert tls.broker_use_ssl == tls.redis_backend_use_ssl == verified

    socket = create_app(Settings.read(broker_url="unix:///run/r.sock?db=1")).conf
    assert socket.broker_url == "redis+socket:///run/r.sock?virtual_host=1"

    url = "sentinel://:pw@one:1,two:2/primary/3?sentinel_password=other"
    watched = create_app(Settings.read(broker_url=url)).conf
    assert watched.broker_url == "sentinel://:pw@one:1/3;sentinel://:pw@two:2/3"
    assert watched.broker_transport_options["master_name"] == "primary"
    assert watched.result_backend_transport_options["sentinel_kwargs"]["password"] == "other"


def test_redbeat_gets_the_form_that_it_reads():
    assert redbeat_settings(ServerUrl.parse("rediss://host:7/2"))["redbeat_redis_url"] == (
        "rediss://host:7/2"
    )
    socket = redbeat_settings(ServerUrl.parse("unix:///run/r.sock?db=1"))
    assert socket["redbeat_redis_url"] == "unix:///run/r.sock?db=1"
    watched = redbeat_settings(ServerUrl.parse("sentinel://one:1/primary/3"))
    assert watched["redbeat_redis_url"] == "redis-sentinel://"
    assert watched["redbeat_redis_options"]["service_name"] == "primary"
    assert watched["redbeat_redis_options"]["db"] == 3
