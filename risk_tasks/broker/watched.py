"""Tasks as Flower and Celery's own commands show them: by summaries, whoever sent them."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request

from risk_tasks.wire.summary import change_summary, report_summary, request_summary


class SummarisedRequest(Request):
    """A request of the JSON door that tells of its arguments in one line.

    A producer's Celery writes the whole portfolio into the message's header, which events, logs and
    `inspect` repeat; and `inspect` tells the arguments themselves. Nobody who watches needs them.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        lane = str(self.delivery_info.get("routing_key")).removeprefix("risk.")
        self._argsrepr = self._summary(lane, self.args, self.kwargs)
        self._kwargsrepr = "{}"

    _summary = staticmethod(request_summary)

    def info(self, safe: bool = False) -> dict[str, Any]:
        return {**super().info(safe=True), "args": self._argsrepr, "kwargs": {}}


class SummarisedChange(SummarisedRequest):
    """A change of a live portfolio, told of in the same way."""

    _summary = staticmethod(change_summary)


class SummarisedReport:
    """A report that goes to the result backend as it is, and to those who watch as one line."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def __json__(self) -> dict[str, Any]:
        return self._document

    def __repr__(self) -> str:
        return report_summary(self._document)
