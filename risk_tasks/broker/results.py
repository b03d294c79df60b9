"""Celery's result backends, made to fail soon: what cannot be stored is redelivered.

Celery tries for 20 seconds, in a slot of the worker, and then loses the slot.
"""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend, SentinelBackend
from celery.exceptions import Reject
from celery.states import FAILURE

#: two more attempts within half a second
RETRY_POLICY = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 0.3}
#: names for `loader.override_backends`
BACKENDS = {
    "redis": "risk_tasks.broker.results:Results",
    "sentinel": "risk_tasks.broker.results:SentinelResults",
}


class _FirstResults:
    """Raises `Reject` for a result that cannot be stored; can store a result if there is none."""

    def store_result(self, *args: Any, **options: Any) -> Any:
        return _or_reject(super().store_result, *args, **options)  # type: ignore[misc]

    def on_chord_part_return(self, *args: Any, **options: Any) -> Any:
        return _or_reject(super().on_chord_part_return, *args, **options)  # type: ignore[misc]

    def store_first(self: Any, task_id: str, error: Exception) -> bool:
        """Store `error` as the first result of `task_id`; returns whether it was the first."""
        meta = self._get_result_meta(self.prepare_exception(error), FAILURE, None, None)
        key = self.get_key_for_task(task_id)
        data = self.encode({"task_id": task_id, **meta, "children": []})
        is_first = bool(self.client.set(key, data, nx=True, ex=self.expires))
        if is_first:
            self.client.publish(key, data)
        return is_first


class Results(_FirstResults, RedisBackend):
    """Results on one server."""


class SentinelResults(_FirstResults, SentinelBackend):
    """Results on the primary that Sentinels name."""


def _or_reject(call: Any, *args: Any, **options: Any) -> Any:
    try:
        return call(*args, **options)
    except Reject:
        raise
    except Exception as error:
        # Not recorded as a failure of the task: it is redelivered.
        raise Reject(error, requeue=True) from error
