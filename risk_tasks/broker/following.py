"""Telling a worker's fetches, each time it connects, in which order to look at its lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.worker.consumer.tasks import Tasks

from risk_tasks.broker.fairness import Order


def following(order: Callable[[], Order]) -> type[bootsteps.StartStopStep]:
    """Return a step of a worker's consumer that has its fetches follow `order`.

    kombu subscribes to every list once and asks its cycle at each fetch: a change is seen once the
    last one has returned, and nothing is subscribed to or cancelled while messages come.
    """

    class Follow(bootsteps.StartStopStep):
        requires = (Tasks,)

        def start(self, consumer: Any) -> None:
            consumer.task_consumer.channel._queue_cycle.follow(order)  # noqa: SLF001

    return Follow
