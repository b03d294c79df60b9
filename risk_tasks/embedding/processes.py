"""Roles as child processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from risk_tasks.errors import StartError

_STOP_TIMEOUT_S = 15.0
_LOG_LINES = 15


@dataclass(slots=True)
class RoleProcess:
    """One role, its command and its current process.

    `arguments` are those of Python. The log goes to `log_path`. A value of None removes
    a variable from the environment.
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
            raise StartError(f"{self.name} has not been started.")
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        variables = {**os.environ, **self.environment}
        with self.log_path.open("ab") as log:
            # A new session: Ctrl-C reaches only this process, which then stops its children.
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

    def terminate(self) -> None:
        if self._process is not None and self.is_alive:
            self._process.terminate()

    def wait(self) -> int | None:
        """Wait for the exit, kill the process after a timeout, and return the exit code."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])
