"""Another app on the same broker and result backend, run by its own worker."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

app = Celery("other", broker=os.environ["BROKER"], backend=os.environ["BROKER"])


@app.task
def decide(report: dict[str, Any]) -> str:
    return f"decided:{report['portfolio_id']}:{report['status']}"


@app.task
def count(reports: list[dict[str, Any]]) -> str:
    return f"counted:{len(reports)}:{','.join(sorted({one['status'] for one in reports}))}"


@app.task
def build(number: int) -> dict[str, Any]:
    return {"id": f"built-{number}", "positions": {"AAPL": 10}, "nav": 1e6}


@app.task
def note(text: Any, key: str) -> None:
    app.backend.client.rpush(key, str(text))


@app.task
def note_error(task_id: str, key: str) -> None:
    app.backend.client.rpush(key, task_id)
