"""The system that each fault test starts, and the test sizes: small in CI, full with `--full`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from risk_tasks import sample
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.readers import read_market
from tests.faults.oracle import Oracle
from tests.faults.system import System, running_system
from tests.integration.support import books

Size = TypeVar("Size")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only `--full` runs: CI has half an hour for everything."""
    if config.getoption("--full"):
        return
    left_out = [item for item in items if item.get_closest_marker("full_size")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def sized(request: pytest.FixtureRequest) -> Callable[[Size, Size], Size]:
    """Returns the first of two sizes, or the second with `--full`."""
    full = request.config.getoption("--full")
    return lambda small, large: large if full else small


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Writes what a test measured to build/faults/NAME.json."""
    folder = request.config.rootpath / "build" / "faults"
    full = request.config.getoption("--full")

    def write(**numbers: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        document = {"size": "full" if full else "small", **numbers}
        (folder / f"{request.node.name}.json").write_text(json.dumps(document, indent=2))

    return write


@pytest.fixture(scope="session")
def market() -> MarketSnapshot:
    """The sample market."""
    return read_market(sample.PRICES)


@pytest.fixture(scope="session")
def portfolios(market: MarketSnapshot) -> list[Portfolio]:
    """Two hundred portfolios, all different."""
    return books(200, market.instruments)


@pytest.fixture
def oracle(market: MarketSnapshot, portfolios: list[Portfolio]) -> Oracle:
    """Knows the right answer of each portfolio in `portfolios`."""
    oracle = Oracle(market)
    oracle.learn(portfolios)
    return oracle


@pytest.fixture
def system(market: MarketSnapshot, tmp_path: Path) -> Iterator[System]:
    """A server with an append-only file, one worker, a scheduler and the sample market."""
    with running_system(tmp_path, n_workers=1) as system:
        system.risk.publish_market(market)
        yield system
