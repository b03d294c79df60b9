"""One system for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.silent.doors import Doors, running_doors


@pytest.fixture(scope="session")
def doors() -> Iterator[Doors]:
    """All doors of a system with one worker and a gateway."""
    with running_doors() as doors:
        yield doors
