"""What every test may use."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings

VECTORS = Path(__file__).resolve().parents[1].parent / "shared" / "vectors"

# The same examples on every machine and in every run: a red build is one that anybody can repeat.
settings.register_profile(
    "risk_tasks", deadline=None, max_examples=60, derandomize=True, database=None
)
settings.register_profile("brief", settings.get_profile("risk_tasks"), max_examples=20)
settings.load_profile("risk_tasks")


@pytest.fixture(autouse=True)
def _fresh_logs() -> Iterator[None]:
    """Whoever set logs up wrote to a stream that ends with its test."""
    yield
    structlog.reset_defaults()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", help="fault tests at full size: an hour instead of minutes"
    )
    parser.addoption(
        "--compose", action="store_true", help="tests of the containers: `make test-compose`"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the containers to those who asked for them: they need an engine and its images."""
    within = Path(__file__).parent / "compose"
    if collection_path == within and not config.getoption("--compose"):
        return True
    return None


@pytest.fixture(scope="session")
def shared_vectors() -> Callable[[str], Any]:
    """Reads `NAME.json` of the shared vectors; without them a test skips, and fails in CI."""

    def read(name: str) -> Any:
        path = VECTORS / f"{name}.json"
        if not path.is_file():
            message = f"{path} is absent: the shared vectors are not part of this repository"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
        return json.loads(path.read_text(encoding="utf-8"))

    return read
