"""The environment of the route that does nothing."""

from pathlib import Path

from benchmarks.environment import Environment

HTTP = Environment("http", Path(__file__).parent / "requirements.txt")
