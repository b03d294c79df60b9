"""What is in the images, and what is not."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.compose.stack import ROOT, docker

TARGETS = ["redis", "worker", "beat", "autoscaler", "flower", "cli"]


#: two cores that do something else as well take so long to compile all kernels
COMPILES_WITHIN_S = 400


def inside(
    target: str, *command: str, options: tuple[str, ...] = (), timeout_s: float = 120
) -> str:
    """Run a command in a new container of an image, hardened as the stack hardens it."""
    hardened = [
        "--rm",
        "--read-only",
        "--cap-drop=ALL",
        "--network=none",
        "--tmpfs=/run/risk-tasks",
    ]
    first, *rest = command
    return docker(
        "run",
        *hardened,
        *options,
        "--entrypoint",
        first,
        f"risk-tasks/{target}:dev",
        *rest,
        timeout_s=timeout_s,
    )


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_runs_as_root(target):
    """The user is 10001 in each, and its command is no shell that would swallow a signal."""
    told = json.loads(docker("image", "inspect", f"risk-tasks/{target}:dev"))[0]["Config"]

    assert inside(target, "id", "-u").strip() == "10001"
    assert told["User"] == "10001:10001"
    assert told["Entrypoint"][0] in {"python", "risk-tasks", "redis-server"}


@pytest.mark.parametrize("target", TARGETS)
def test_no_secret_and_no_wheel_is_in_a_layer(target):
    """Nor in what the image's history tells."""
    secrets = [path.read_text().strip() for path in (ROOT / "secrets").iterdir()]
    told = docker("history", "--no-trunc", f"risk-tasks/{target}:dev") + docker(
        "image", "inspect", f"risk-tasks/{target}:dev"
    )

    assert not any(secret in told for secret in secrets)
    found = inside(
        target, "sh", "-c", "find / -xdev -name '*.whl' -o -name secrets -type d 2>/dev/null; true"
    )
    assert [
        line
        for line in found.splitlines()
        if "site-packages" not in line
        and "/usr/lib/python3" not in line
        and "ensurepip" not in line
        and "/run" not in line
    ] == []


def test_the_worker_is_no_larger_than_it_may_be(image_mb, figures):
    sizes = {target: round(image_mb(f"risk-tasks/{target}:dev")) for target in TARGETS}
    figures(image_mb=sizes)

    assert sizes["worker"] <= 900


COUNT = """
import os
from workers.kernels import unpack
unpack(os.environ["NUMBA_CACHE_DIR"]{where})
from risk_tasks.engine.warmup import compile_kernels
from risk_tasks.kernels.jit import target_cpu
print(compile_kernels(), target_cpu())
"""


def test_a_worker_compiles_nothing(figures: Callable[..., None]):
    """What the image brings is what it uses, on a read-only root, as its user."""
    owned = ("--tmpfs=/run/risk-tasks:uid=10001",)
    compiled, cpu = inside("worker", "python", "-c", COUNT.format(where=""), options=owned).split()
    figures(compiled_at_start=int(compiled), cpu=cpu)

    assert (compiled, cpu) == ("0", "x86-64-v3")


def test_without_the_baked_kernels_it_would():
    """So that the count above can be anything else than 0."""
    owned = ("--tmpfs=/run/risk-tasks:uid=10001",)
    program = COUNT.format(where=", __import__('pathlib').Path('/nowhere')")
    command = ("python", "-c", program)
    compiled, _ = inside("worker", *command, options=owned, timeout_s=COMPILES_WITHIN_S).split()

    assert int(compiled) > 0
