"""What the images and the demo install is part of what the tests ran with."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
IMAGES = sorted((ROOT / "deploy" / "locks").glob("*.lock"))
LOCKS = [*IMAGES, ROOT / "requirements-demo.lock"]


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
def test_every_lock_is_part_of_the_development_lock(lock):
    """`make lock` writes all of them."""
    whole = pins(ROOT / "requirements.lock")

    assert {name: hashes for name, hashes in pins(lock).items() if whole.get(name) != hashes} == {}
    assert all(pins(lock).values())


def names(path: Path) -> set[str]:
    return {name.split("==")[0] for name in pins(path)}


def test_an_image_has_only_the_large_packages_that_it_imports():
    locks = {path.stem: names(path) for path in IMAGES}
    large = {"llvmlite", "numba", "numpy", "pyarrow", "scipy"}

    assert {name: found & large for name, found in locks.items()} == {
        "autoscaler": {"numpy"},
        "beat": {"numpy", "pyarrow"},
        "build": set(),
        "cli": {"numpy", "pyarrow"},
        "core": set(),
        "flower": set(),
        "gateway": {"numpy", "pyarrow"},
        "worker": large,
    }


def test_the_images_share_their_layers():
    """The lock of an image contains the lock of the layer below it."""
    locks = {path.stem: names(path) for path in IMAGES}

    assert all(locks["core"] < locks[name] for name in ("cli", "flower", "autoscaler"))
    assert all(locks["cli"] < locks[name] for name in ("worker", "beat", "gateway"))


def test_no_lock_names_a_registry():
    assert "://" not in "".join(path.read_text() for path in LOCKS)


def test_the_demo_installs_no_development_tool():
    tools = {"pytest", "mypy", "ruff", "hypothesis", "pandas", "polars", "kubernetes-validate"}

    assert names(ROOT / "requirements-demo.lock") & tools == set()
