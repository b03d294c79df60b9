"""A TCP proxy that drops some or all bytes and keeps the connections open."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

#: what only replicas and Sentinels send
_INSIDE = (b"REPLCONF", b"sentinel-", b"PSYNC")


class _Wire:
    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near, self.far = near, far
        self.is_inside = False


class Partition:
    """Passes bytes to a server, except between `cut` and `heal`.

    Replicas and Sentinels differ from clients in what they send.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._wires: list[_Wire] = []
        self._cuts = (False, False)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, *, clients: bool) -> None:
        """Drop the bytes to and from replicas and Sentinels, and with `clients` all bytes."""
        self._cuts = (True, clients)

    def heal(self) -> None:
        """Pass bytes again, and close the connections that may have lost some."""
        cuts, self._cuts = self._cuts, (False, False)
        with self._lock:
            for wire in self._wires:
                if cuts[0 if wire.is_inside else 1]:
                    self._end(wire)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for wire in self._wires:
                self._end(wire)
                wire.near.close()
                wire.far.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire = _Wire(near, far)
            with self._lock:
                self._wires.append(wire)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(wire, source, sink), daemon=True).start()

    def _pump(self, wire: _Wire, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 18):
                if source is wire.near and not wire.is_inside:
                    wire.is_inside = any(word in data for word in _INSIDE)
                if not self._cuts[0 if wire.is_inside else 1]:
                    sink.sendall(data)
        self._end(wire)

    def _end(self, wire: _Wire) -> None:
        for end in (wire.near, wire.far):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
