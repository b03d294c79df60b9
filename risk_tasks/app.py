"""The Celery app with all of its settings."""

from __future__ import annotations

from celery import Celery
from kombu.entity import Queue

from risk_tasks.keys import RESULT_TTL_S
from risk_tasks.queues import Lane, queues_of
from risk_tasks.settings import Settings

TRANSPORT_OPTIONS = {
    # Most urgent lane first, except for a reserved share; one list per queue.
    "queue_order_strategy": "risk_tasks.broker.consumer:LaneCycle",
    "priority_steps": [0],
    "body_encoding": "utf-8",
    # A JSON check that is not acknowledged is redelivered after this; the reaper requeues blocks.
    "visibility_timeout": 60,
    # Every worker restores messages, so that those of a dead worker are restored soon.
    "unacked_restore_interval": 15,
    "unacked_restore_throttle": 1,
    # Without these a half-open connection hangs.
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 5,
}


_SHARDED_FETCH_S = 0.25


def create_app(settings: Settings, *, n_shards: int = 1) -> Celery:
    """Return the app of workers and schedulers; a producer may make the same app.

    A producer needs no shards: every worker of a lane serves the queue of the lane.
    """
    broker_url = settings.broker_url.get_secret_value()
    app = Celery("risk_tasks", set_as_current=False)
    app.conf.update(
        broker_url=broker_url,
        broker_transport="risk_tasks.broker.transport:GuardedTransport",
        broker_transport_options={
            **TRANSPORT_OPTIONS,
            # A string, because `inspect` returns these options as JSON.
            "heartbeat_file": settings.heartbeat_file and str(settings.heartbeat_file),
            "max_connections": settings.concurrency + 10,
            # A fetch ends after this, so that the worker fetches from its current shards.
            **({"polling_interval": _SHARDED_FETCH_S} if n_shards > 1 else {}),
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        result_backend=(settings.result_url or settings.broker_url).get_secret_value(),
        result_expires=RESULT_TTL_S,
        result_backend_thread_safe=True,
        redis_socket_timeout=5,
        redis_backend_health_check_interval=10,
        redis_socket_keepalive=True,
        accept_content=["json"],
        result_accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_queues=[Queue(queue) for lane in Lane for queue in queues_of(lane, n_shards)],
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
        beat_scheduler="redbeat.RedBeatScheduler",
        beat_max_loop_interval=2,
        redbeat_lock_timeout=10,
    )
    return app
