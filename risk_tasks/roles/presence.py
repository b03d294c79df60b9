"""Telling others that a role is alive, and keeping at hand what it will need."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable

import structlog

from risk_tasks.errors import RiskTasksError, TransportError
from risk_tasks.keys import ROLE_TTL_S
from risk_tasks.store.roles import LiveRole, RoleStore

log = structlog.get_logger("risk_tasks")

#: what is repeated without a pause has one after an error
_AFTER_ERROR_S = 0.5
#: two renewals may be lost before a role is taken for dead
_RENEW_EVERY_S = ROLE_TTL_S / 3


class Repeater:
    """Calls `work` in a thread of its own, at once and then every `every_s`, until stopped."""

    def __init__(self, work: Callable[[], object], *, every_s: float, name: str) -> None:
        self._work = work
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            try:
                self._work()
                pause_s = self._every_s
            except RiskTasksError as error:
                log.warning("repeater.failed", work=self._thread.name, error=str(error))
                pause_s = max(self._every_s, _AFTER_ERROR_S)
            except Exception:
                # A thread that ended here would be missed by nobody.
                log.exception("repeater.failed", work=self._thread.name)
                pause_s = max(self._every_s, _AFTER_ERROR_S)
            if self._stopped.wait(pause_s):
                return


def name_of_a_life(role: str) -> str:
    """Return a name that no other process has, nor this one's successor in the same container.

    A container that is started again has the same host name and often the same process id; under
    the same name, what the dead one held would seem to be held by the living.
    """
    return f"{role}-{os.getpid()}-{secrets.token_hex(3)}@{socket.gethostname()}"


class Presence:
    """A role's entry among the live ones: there from `start` until `stop`.

    `renew` says again that it lives, and may ask for more in the same round trip.
    """

    def __init__(
        self,
        store: RoleStore,
        role: str,
        name: str,
        lanes: str = "",
        renew: Callable[[LiveRole], object] | None = None,
    ) -> None:
        self._store = store
        self._role = LiveRole(name, role, lanes, socket.gethostname(), os.getpid())
        renew = renew or store.renew
        self._repeater = Repeater(
            lambda: renew(self._role), every_s=_RENEW_EVERY_S, name="presence"
        )

    def start(self) -> None:
        self._repeater.start()

    def stop(self) -> None:
        self._repeater.stop()
        try:
            self._store.withdraw(self._role)
        except TransportError as error:
            log.warning("presence.not_withdrawn", error=str(error))
