"""No spoilt input ends in a plain answer with other numbers or another decision."""

from __future__ import annotations

import pytest

from tests.silent.doors import Doors
from tests.silent.spoils import SPOILS
from tests.silent.survey import examined

N_EXAMPLES = 3
N_FULL_EXAMPLES = 60


@pytest.mark.integration
@pytest.mark.parametrize("name", SPOILS)
def test_a_spoilt_input_is_right_refused_or_named(name: str, doors: Doors, request) -> None:
    """Each spoil through each door, beside a NumPy reference of the right numbers."""
    n_examples = N_FULL_EXAMPLES if request.config.getoption("--full") else N_EXAMPLES

    found = examined(name, doors, n_examples)

    wrong = [one for one in found if not one.is_allowed]
    assert not wrong, "\n".join(
        f"{one.door}, {one.portfolio}: {one.verdict}: {one.text}" for one in wrong
    )
