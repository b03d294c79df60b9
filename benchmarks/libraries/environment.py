"""The environment of the risk libraries in the comparison: `build/libraries-venv`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.environment import Environment

LIBRARIES = Environment("libraries", Path(__file__).with_name("requirements.txt"))

if __name__ == "__main__":
    print(LIBRARIES.ensure())
