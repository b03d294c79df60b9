"""How soon a worker is back after the server was away."""

from __future__ import annotations

from typing import Any

import structlog
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown

log = structlog.get_logger("risk_tasks")

_FIRST_PAUSE_S, _STEP_S, _LONGEST_PAUSE_S = 0.2, 0.2, 1.0


class QuickConsumer(Consumer):
    """Tries every second at the latest, where Celery waits 2, 4 and up to 30 s between attempts."""

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection(
            lambda error, pause_s: log.warning("broker.away", error=str(error), pause_s=pause_s),
            self.app.conf.broker_connection_max_retries,
            interval_start=_FIRST_PAUSE_S,
            interval_step=_STEP_S,
            interval_max=_LONGEST_PAUSE_S,
            callback=maybe_shutdown,
        )
        return super().ensure_connected(conn)
