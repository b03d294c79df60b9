"""Virtual environments for the programs that are compared with this one: `build/NAME-venv`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Environment:
    """A virtual environment of the packages in a requirements file, without risk_tasks."""

    name: str
    requirements: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def is_ready(self) -> bool:
        """Whether the current requirements are installed in it."""
        installed = self._installed
        return installed.exists() and installed.read_text() == self.requirements.read_text()

    def ensure(self) -> Path:
        """Create the environment if it is missing or outdated, and return its Python.

        Raises `RuntimeError` with the output of pip if that fails.
        """
        if self.is_ready:
            return self.python
        shutil.rmtree(self.folder, ignore_errors=True)
        self._run(sys.executable, "-m", "venv", str(self.folder))
        # Compiling every module to bytecode takes as long as installing; most are never imported.
        self._run(
            *(str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-compile", "--requirement", str(self.requirements)),
        )
        self._installed.write_text(self.requirements.read_text())
        return self.python

    @property
    def folder(self) -> Path:
        """The folder of the environment, which may not exist."""
        return ROOT / "build" / f"{self.name}-venv"

    @property
    def _installed(self) -> Path:
        """A copy of the requirements that were installed."""
        return self.folder / "installed.txt"

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            message = f"The environment of the {self.name} cannot be made: {done.stderr[-2_000:]}"
            raise RuntimeError(message)
