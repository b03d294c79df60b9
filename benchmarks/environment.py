"""Environments apart from ours, for what is measured or compared beside us: `build/NAME-venv`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Environment:
    """A virtual environment that holds what a file of requirements lists, and nothing of ours."""

    name: str
    requirements: Path

    @property
    def python(self) -> Path:
        return self._folder / "bin" / "python"

    @property
    def is_ready(self) -> bool:
        """Tell whether it holds what the requirements say today."""
        installed = self._installed
        return installed.exists() and installed.read_text() == self.requirements.read_text()

    def ensure(self) -> Path:
        """Make the environment where it is missing or outdated, and return its Python.

        Raises `RuntimeError` with what pip said where it cannot be made.
        """
        if self.is_ready:
            return self.python
        shutil.rmtree(self._folder, ignore_errors=True)
        self._run(sys.executable, "-m", "venv", str(self._folder))
        # Compiling all that is installed takes as long as installing it, and most is never run.
        self._run(
            *(str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-compile", "--requirement", str(self.requirements)),
        )
        self._installed.write_text(self.requirements.read_text())
        return self.python

    @property
    def _folder(self) -> Path:
        return ROOT / "build" / f"{self.name}-venv"

    @property
    def _installed(self) -> Path:
        """A copy of what was installed: another text, or none, means to make it again."""
        return self._folder / "installed.txt"

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            message = f"The environment of the {self.name} cannot be made: {done.stderr[-2_000:]}"
            raise RuntimeError(message)
