"""The Celery app with all of its settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery
from kombu.entity import Queue

from risk_tasks.broker.results import BACKENDS, RETRY_POLICY
from risk_tasks.keys import RESULT_TTL_S
from risk_tasks.queues import SERVED_TASKS, Lane, queues_of
from risk_tasks.server_url import ServerUrl
from risk_tasks.settings import Settings

TRANSPORT_OPTIONS = {
    # Most urgent lane first, except for a reserved share; one list per queue.
    "queue_order_strategy": "risk_tasks.broker.consumer:LaneCycle",
    "priority_steps": [0],
    "body_encoding": "utf-8",
    # A JSON check that is not acknowledged is redelivered after this; the reaper requeues blocks.
    "visibility_timeout": 60,
    # Every worker restores messages, so that those of a dead worker are restored soon.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # Without these a half-open connection hangs.
    "socket_timeout": 2,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    # A fetch without a reply for 3 to 5 s is dropped: less than a failover takes.
    "health_check_interval": 2,
}


_SHARDED_FETCH_S = 0.25
_REDBEAT_TIMEOUTS = {"socket_timeout": 5, "socket_connect_timeout": 2}
#: seconds in which a Sentinel must answer
_SENTINEL_TIMEOUTS = {"socket_timeout": 2, "socket_connect_timeout": 2}


def celery_url(server: ServerUrl) -> str:
    """Return the URL of `server` in the form of kombu and of Celery's result backends.

    TLS is not in it: Celery has settings of their own for that.
    """
    if server.path is not None:
        return f"redis+socket://{server.credentials}{server.path}?virtual_host={server.db}"
    scheme = "redis" if server.service is None else "sentinel"
    return ";".join(
        f"{scheme}://{server.credentials}{host}:{port}/{server.db}" for host, port in server.hosts
    )


def sentinel_options(server: ServerUrl) -> dict[str, Any]:
    """Return the transport options by which kombu and Celery find the primary of `server`."""
    if server.service is None:
        return {}
    sentinel = {**_SENTINEL_TIMEOUTS, **(server.sentinel_options or {})}
    return {"master_name": server.service, "sentinel_kwargs": sentinel}


def redbeat_settings(server: ServerUrl) -> dict[str, Any]:
    """Return the settings of RedBeat for `server`."""
    tls = {"redbeat_redis_use_ssl": dict(server.tls)} if server.tls else {}
    if server.path is not None:
        url = f"unix://{server.credentials}{server.path}?db={server.db}"
        return {"redbeat_redis_url": url, "redbeat_redis_options": {"socket_timeout": 5}}
    if server.service is None:
        scheme = "rediss" if server.tls else "redis"
        url = celery_url(server).replace("redis", scheme, 1)
        return {"redbeat_redis_url": url, "redbeat_redis_options": _REDBEAT_TIMEOUTS, **tls}
    options = {
        **_REDBEAT_TIMEOUTS,
        "sentinels": list(server.hosts),
        "service_name": server.service,
        "db": server.db,
        "username": server.username,
        "password": server.password,
        "sentinel_kwargs": sentinel_options(server)["sentinel_kwargs"],
    }
    return {
        "redbeat_redis_url": "redis-sentinel://",
        "redbeat_redis_options": options,
        **tls,
    }


def _callback_route(queues: Sequence[str]) -> Callable[..., Any]:
    """Return the route of tasks of other apps: without a queue, the first of `queues`."""

    def route(name: str, *_: Any, **__: Any) -> dict[str, str] | None:
        return None if name in SERVED_TASKS else {"queue": queues[0]}

    return route


def create_app(settings: Settings, *, n_shards: int = 1) -> Celery:
    """Return the app of workers and schedulers; a producer may make the same app.

    A producer needs no shards: every worker of a lane serves the queue of the lane.
    """
    broker = ServerUrl.parse(settings.broker_url.get_secret_value())
    results = ServerUrl.parse((settings.result_url or settings.broker_url).get_secret_value())
    callback_queues = [name for name in settings.callback_queues.split(",") if name]
    app = Celery("risk_tasks", amqp="risk_tasks.broker.serving:CallbackAMQP", set_as_current=False)
    app.loader.override_backends = BACKENDS
    app.conf.update(
        broker_url=celery_url(broker),
        broker_use_ssl=dict(broker.tls) if broker.tls else None,
        broker_transport="risk_tasks.broker.transport:"
        + ("GuardedTransport" if broker.service is None else "GuardedSentinelTransport"),
        broker_transport_options={
            **TRANSPORT_OPTIONS,
            **sentinel_options(broker),
            # A string, because `inspect` returns these options as JSON.
            "heartbeat_file": settings.heartbeat_file and str(settings.heartbeat_file),
            "max_connections": settings.concurrency + 10,
            # A fetch ends after this, so that the worker fetches from its current shards.
            **({"polling_interval": _SHARDED_FETCH_S} if n_shards > 1 else {}),
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A refused command (READONLY, MISCONF, OOM) is a fault of the server, not of the role.
        broker_channel_error_retry=True,
        result_backend=celery_url(results),
        redis_backend_use_ssl=dict(results.tls) if results.tls else None,
        result_backend_transport_options={
            **sentinel_options(results),
            "retry_policy": RETRY_POLICY,
        },
        result_expires=RESULT_TTL_S,
        result_backend_thread_safe=True,
        redis_socket_timeout=5,
        redis_socket_connect_timeout=2,
        redis_backend_health_check_interval=10,
        # A Unix socket does not have keepalive.
        redis_socket_keepalive=results.path is None,
        accept_content=["json"],
        result_accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_queues=[
            *(Queue(queue) for lane in Lane for queue in queues_of(lane, n_shards)),
            *map(Queue, callback_queues),
        ],
        task_routes=(_callback_route(callback_queues),),
        risk_callback_queues=callback_queues,
        task_default_queue=Lane.NORMAL.queue,
        task_create_missing_queues=False,
        task_acks_late=True,
        worker_consumer="risk_tasks.broker.consumer:QuickConsumer",
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_send_task_events=False,
        worker_redirect_stdouts=False,
        worker_hijack_root_logger=False,
        enable_utc=True,
        timezone="UTC",
        beat_max_loop_interval=2,
        redbeat_lock_timeout=10,
    )
    return app
