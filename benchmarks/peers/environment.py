"""The environment that the peers run in, apart from ours: `build/peers-venv`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "peers-venv"
PYTHON = FOLDER / "bin" / "python"

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
# A copy of what was installed: another text, or none, means that it must be made again.
_INSTALLED = FOLDER / "installed.txt"


def ensure() -> Path:
    """Make the environment where it is missing or outdated, and return its Python.

    Raises `RuntimeError` with what pip said where it cannot be made.
    """
    wanted = _REQUIREMENTS.read_text()
    if _INSTALLED.exists() and _INSTALLED.read_text() == wanted:
        return PYTHON
    shutil.rmtree(FOLDER, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(FOLDER))
    _run(
        *(str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--requirement", str(_REQUIREMENTS)),
    )
    _INSTALLED.write_text(wanted)
    return PYTHON


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"The peers' environment cannot be made: {done.stderr[-2_000:]}")


if __name__ == "__main__":
    print(ensure())
