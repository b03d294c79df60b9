"""Roles as child processes of this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from risk_tasks.errors import StartError

_STOP_WITHIN_S = 15.0
_LOG_LINES = 15


@dataclass(slots=True)
class RoleProcess:
    """One role: how it is started, and the process that runs it now.

    `arguments` are Python's. Its log goes to `log_path`. A variable of `environment` that is None
    is not passed on.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str | None]
    log_path: Path
    n_restarts: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise StartError(f"{self.name} is not started.")
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        variables = {**os.environ, **self.environment}
        with self.log_path.open("ab") as log:
            # A session of its own: Ctrl-C reaches this process, which then stops its children.
            self._process = subprocess.Popen(
                [sys.executable, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={name: value for name, value in variables.items() if value is not None},
                start_new_session=True,
            )

    def restart(self) -> None:
        self.n_restarts += 1
        self.start()

    def ask_to_stop(self) -> None:
        if self._process is not None and self.is_alive:
            self._process.terminate()

    def wait_stopped(self) -> int | None:
        """Wait for the end, kill past the time allowed, and return the exit code."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout=_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def last_words(self) -> str:
        """Return the end of the log."""
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])
