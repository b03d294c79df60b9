"""What the images install is part of what the tests ran with."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = sorted((ROOT / "deploy" / "locks").glob("*.lock"))


def pins(path: Path) -> dict[str, frozenset[str]]:
    """Return the hashes of each requirement, by its line without markers."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in path.read_text().splitlines():
        if line.startswith("    --hash="):
            found[name].add(line.strip(" \\").removeprefix("--hash="))
        elif line:
            name = line.split(";")[0].strip(" \\")
            found[name] = set()
    return {name: frozenset(hashes) for name, hashes in found.items()}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_the_lock_of_an_image_is_part_of_the_lock(lock):
    """`make lock` writes all of them."""
    whole = pins(ROOT / "requirements.lock")

    assert {name: hashes for name, hashes in pins(lock).items() if whole.get(name) != hashes} == {}
    assert all(pins(lock).values())


def test_every_image_has_a_lock_and_only_the_worker_numba():
    locks = {path.stem: {name.split("==")[0] for name in pins(path)} for path in LOCKS}

    assert set(locks) == {"build", "cli", "worker", "beat", "autoscaler", "flower", "gateway"}
    assert [name for name in locks if "numba" in locks[name]] == ["worker"]
    assert locks["cli"] < locks["worker"]
    assert locks["cli"] < locks["beat"]
    assert locks["cli"] < locks["flower"]
    assert locks["cli"] < locks["gateway"]
    assert locks["autoscaler"] == locks["cli"] | {"prometheus-client"}
    assert "://" not in "".join(path.read_text() for path in LOCKS)
