"""What every test may use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings

from tests import programs

VECTORS = Path(__file__).parent / "vectors"

# Hypothesis draws the same examples on every machine and in every run.
settings.register_profile(
    "risk_tasks", deadline=None, max_examples=60, derandomize=True, database=None
)
settings.register_profile("brief", settings.get_profile("risk_tasks"), max_examples=20)
settings.load_profile("risk_tasks")


@pytest.fixture(autouse=True)
def _fresh_logs() -> Iterator[None]:
    """Undo the configuration of logs: it may write to a stream that ends with the test."""
    yield
    structlog.reset_defaults()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", help="fault, container and spoilt-input tests at full size"
    )
    parser.addoption("--compose", action="store_true", help="run the tests of the containers")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collect tests of the containers only with `--compose`: they need built images."""
    compose = Path(__file__).parent / "compose"
    if collection_path == compose and not config.getoption("--compose"):
        return True
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which programs were absent, once each."""
    skipped = terminalreporter.stats.get("skipped", [])
    for line in programs.summary([report.longrepr[2] for report in skipped]):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], Any]:
    """Reads tests/vectors/NAME.json: numbers published by others, each file with its sources."""
    return lambda name: json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
