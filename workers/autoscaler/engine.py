"""The six calls of the engine that adding and draining need, over its Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from workers.autoscaler.driver import EngineError

_ANSWERS_WITHIN_S = 20.0


class Engine:
    """Docker's HTTP interface at `socket_path`; every method raises `EngineError`."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path

    def list(self, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return all containers that have `labels`, running or not."""
        wanted = [f"{name}={value}" for name, value in labels.items()]
        query = {"all": "1", "filters": json.dumps({"label": wanted})}
        found: list[dict[str, Any]] = self._call("GET", "/containers/json", query)
        return found

    def inspect(self, container: str) -> dict[str, Any]:
        told: dict[str, Any] = self._call("GET", f"/containers/{_safe(container)}/json")
        return told

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Return the id of a new container that does not run yet."""
        return str(self._call("POST", "/containers/create", {"name": name}, body)["Id"])

    def start(self, container: str) -> None:
        self._call("POST", f"/containers/{_safe(container)}/start")

    def stop(self, container: str, grace_s: float) -> None:
        """Send SIGTERM, and return once it has ended, which its own grace period bounds."""
        within_s = grace_s + _ANSWERS_WITHIN_S
        self._call("POST", f"/containers/{_safe(container)}/stop", within_s=within_s)

    def remove(self, container: str) -> None:
        """Remove what has ended; one that runs is refused."""
        self._call("DELETE", f"/containers/{_safe(container)}")

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        within_s: float = _ANSWERS_WITHIN_S,
    ) -> Any:
        # Without a version the engine takes its own: these calls are in all of them.
        target = path + (f"?{urlencode(query)}" if query else "")
        connection = _UnixConnection(self._socket_path, within_s)
        sent = None if body is None else json.dumps(body)
        try:
            connection.request(method, target, sent, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"{method} {path}: {type(error).__name__}: {error}.") from error
        finally:
            connection.close()
        # 304: it runs already, or has ended already.
        if answer.status >= 400:
            words = told.decode(errors="replace").strip()[:300]
            raise EngineError(f"{method} {path}: {answer.status}: {words}")
        try:
            return json.loads(told) if told.strip() else None
        except ValueError as error:
            raise EngineError(f"{method} {path}: its answer is no JSON.") from error


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _safe(container: str) -> str:
    return quote(container, safe="")
