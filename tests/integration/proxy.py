"""A wire between client and server that is cut where a test says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress


class Proxy:
    """Passes bytes on; the first answer of the server that matches is lost with its connection.

    `matches` counts all answers that matched, of which the later ones pass.
    """

    def __init__(self, port: int, matches: Callable[[bytes], bool]) -> None:
        self._port = port
        self._is_match = matches
        self.matches = 0
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def close(self) -> None:
        self._shut(self._listener)
        with self._lock:
            for end in self._open:
                self._shut(end)
        for thread in self._threads:
            thread.join(10)
        for end in (self._listener, *self._open):
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            with self._lock:
                self._open += [near, far]
            for source, sink, is_answer in ((near, far, False), (far, near, True)):
                pump = threading.Thread(target=self._pump, args=(source, sink, is_answer))
                self._threads.append(pump)
                pump.start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 20):
                if is_answer and self._is_lost(data):
                    break
                sink.sendall(data)
        for end in (source, sink):
            self._shut(end)

    def _is_lost(self, data: bytes) -> bool:
        if not self._is_match(data):
            return False
        with self._lock:
            self.matches += 1
            return self.matches == 1

    def _shut(self, end: socket.socket) -> None:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
