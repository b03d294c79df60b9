"""The entry of a running role on the server, and periodic work in threads."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from risk_tasks.errors import RiskTasksError, TransportError
from risk_tasks.keys import ROLE_TTL_S
from risk_tasks.log import log
from risk_tasks.roles.outage import Outage
from risk_tasks.store.roles import RoleStore, RunningRole

#: the least pause after an error
_AFTER_ERROR_S = 0.5
#: an entry survives two failed renewals
_RENEW_EVERY_S = ROLE_TTL_S / 3


class Repeater:
    """Calls `work` in a thread immediately and then every `every_s` seconds until stopped."""

    def __init__(self, work: Callable[[], object], *, every_s: float, name: str) -> None:
        self._work = work
        self._every_s = every_s
        self._stopped = threading.Event()
        self._outage = Outage("repeater", work=name)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            pause_s = max(self._every_s, _AFTER_ERROR_S)
            try:
                self._work()
                pause_s = self._every_s
                self._outage.ended()
            except RiskTasksError as error:
                self._outage.failed(error)
            except Exception:
                # Without this the thread would end unnoticed.
                log.exception("repeater.failed", work=self._thread.name)
            if self._stopped.wait(pause_s):
                return


def unique_name(role: str) -> str:
    """Return a name that differs from those of all other processes, earlier ones included.

    A restarted container has the same host name and often the same process id. With the same name
    it would appear to own the blocks and leases of its dead predecessor.
    """
    return f"{role}-{os.getpid()}-{secrets.token_hex(3)}@{socket.gethostname()}"


class Presence:
    """The entry of a running role on the server, from `start` until `stop`.

    `renew` renews the entry, and may read further data in the same round trip.
    """

    def __init__(
        self,
        store: RoleStore,
        role: str,
        name: str,
        lanes: str = "",
        renew: Callable[[RunningRole], object] | None = None,
        **fields: Any,
    ) -> None:
        self._store = store
        self._role = RunningRole(name, role, lanes, socket.gethostname(), os.getpid(), **fields)
        renew = renew or store.renew
        self._repeater = Repeater(
            lambda: renew(self._role), every_s=_RENEW_EVERY_S, name="presence"
        )

    def start(self) -> None:
        self._repeater.start()

    def update(self, **fields: Any) -> None:
        """Change these fields of the entry."""
        self._role = replace(self._role, **fields)
        try:
            self._store.announce(self._role)
        except TransportError as error:
            log.warning("presence.not_updated", error=str(error))

    def stop(self) -> None:
        self._repeater.stop()
        try:
            self._store.withdraw(self._role)
        except TransportError as error:
            log.warning("presence.not_withdrawn", error=str(error))
