"""A client of server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class EventStream:
    """An open stream, parsed by the rules of the HTML standard that the gateway uses."""

    answer: httpx.Response
    last_id: str = ""
    comments: int = 0
    _lines: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self._lines = self.answer.iter_lines()

    def next(self) -> dict[str, Any]:
        """Return the data of the next change; raises `StopIteration` at the end."""
        kind, data = "", ""
        while True:
            line = next(self._lines)
            name, _, value = line.partition(":")
            match name:
                case "id":
                    self.last_id = value.strip()
                case "event":
                    kind = value.strip()
                case "data":
                    data = value.strip()
            self.comments += line.startswith(":")
            if not line and data:
                found = json.loads(data)
                assert (kind, found["id"]) == ("limit_change", self.last_id)
                return found

    def share(self) -> list[dict[str, Any]]:
        """Return the data of all changes until the stream ends: one share of a group."""
        found = []
        for line in self._lines:
            name, _, value = line.partition(":")
            if name == "id":
                self.last_id = value.strip()
            elif name == "data":
                found.append(json.loads(value))
        assert self.last_id == ",".join(one["id"] for one in found)
        return found

    def start_id(self) -> str:
        """Read and return the id that the stream starts after."""
        while not self.last_id:
            name, _, value = next(self._lines).partition(":")
            self.last_id = value.strip() if name == "id" else ""
        return self.last_id


@contextmanager
def event_stream(url: str, *, last_id: str = "", **query: str) -> Iterator[EventStream]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    with httpx.stream(
        "GET", f"{url}/v1/breaches", params=query, headers=headers, timeout=40
    ) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield EventStream(answer)
