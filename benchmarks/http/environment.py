"""The environment of the no-op route."""

from pathlib import Path

from benchmarks.environment import Environment

HTTP = Environment("http", Path(__file__).parent / "requirements.txt")
