"""The autoscaler as a process: put together, looking, gone."""

from __future__ import annotations

import signal
import socket
import threading
import time

import redis
import structlog

from risk_tasks.broker.heartbeat import Heartbeat
from risk_tasks.connection import connect
from risk_tasks.errors import RiskTasksError, TransportError
from risk_tasks.roles.logs import configure_logs
from risk_tasks.roles.metrics import endpoint_fields, open_endpoint
from risk_tasks.roles.presence import name_of_a_life
from risk_tasks.store.roles import AutoscalerStore, RoleStore
from workers.autoscaler.docker import DockerDriver, own_project
from workers.autoscaler.driver import Driver
from workers.autoscaler.dry_run import DryRunDriver
from workers.autoscaler.engine import Engine
from workers.autoscaler.loop import Autoscaler
from workers.autoscaler.metrics import AutoscalerMetrics
from workers.autoscaler.settings import AutoscalerSettings
from workers.autoscaler.signals import SignalReader

log = structlog.get_logger("risk_tasks")


def run_autoscaler(settings: AutoscalerSettings) -> int:
    """Look until SIGTERM or SIGINT, let what drains end, and return the exit code."""
    configure_logs(settings.log_level, settings.log_format)
    policy = settings.policy()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    name = name_of_a_life("autoscaler")
    client = connect(settings.broker_url.get_secret_value())
    store, driver = AutoscalerStore(client), _driver(settings, client)
    metrics, heartbeat = AutoscalerMetrics(policy), Heartbeat(settings.heartbeat_file)
    endpoint = open_endpoint(settings, "autoscaler", lambda: metrics)
    autoscaler = Autoscaler(
        name, policy, SignalReader(client), driver, store, metrics, time.monotonic
    )
    bounds = {"least": policy.min_workers, "most": policy.max_workers}
    log.info(
        "autoscaler.ready", name=name, driver=driver.name, **bounds, **endpoint_fields(endpoint)
    )
    while not stopped.is_set():
        try:
            autoscaler.look()
        except RiskTasksError as error:
            log.warning("autoscaler.blind", error=str(error))
        heartbeat.beat()
        stopped.wait(settings.autoscaler_every_s)
    driver.close()
    try:
        store.give_back(name)
    except TransportError as error:
        log.warning("autoscaler.not_withdrawn", error=str(error))
    if endpoint is not None:
        endpoint.close()
    log.info("autoscaler.stopped", name=name)
    return 0


def _driver(settings: AutoscalerSettings, client: redis.Redis) -> Driver:
    if settings.autoscaler_driver == "dry-run":
        return DryRunDriver(RoleStore(client).live)
    engine = Engine(settings.autoscaler_socket)
    project = settings.autoscaler_project or own_project(engine, socket.gethostname())
    return DockerDriver(engine, project, settings.autoscaler_service)
