"""The content, the users and the sizes of the images."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.compose.stack import ROOT, docker

TARGETS = ["redis", "worker", "beat", "autoscaler", "flower", "gateway", "cli"]
#: the largest size of an image in MB
MAX_MB = {
    "worker": 800,
    "gateway": 520,
    "beat": 500,
    "cli": 500,
    "autoscaler": 320,
    "flower": 270,
}


#: two busy cores compile all kernels within this time
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
def test_no_image_runs_as_root(target):
    """The user is 10001, and the command is not a shell, which would not pass signals on."""
    config = json.loads(docker("image", "inspect", f"risk-tasks/{target}:dev"))[0]["Config"]

    assert inside(target, "id", "-u").strip() == "10001"
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"][0] in {"python", "risk-tasks", "redis-server"}


@pytest.mark.parametrize("target", TARGETS)
def test_no_secret_and_no_wheel_is_in_a_layer(target):
    """Nor in the history of the image."""
    secrets = [path.read_text().strip() for path in (ROOT / "secrets").iterdir()]
    shown = docker("history", "--no-trunc", f"risk-tasks/{target}:dev") + docker(
        "image", "inspect", f"risk-tasks/{target}:dev"
    )

    assert not any(secret in shown for secret in secrets)
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


def test_no_image_is_larger_than_its_bound(image_mb, figures):
    sizes = {target: round(image_mb(f"risk-tasks/{target}:dev")) for target in TARGETS}
    figures(image_mb=sizes)

    assert {name: mb for name, mb in sizes.items() if mb > MAX_MB.get(name, mb)} == {}


COUNT = """
import os
from workers.kernels import unpack
unpack(os.environ["NUMBA_CACHE_DIR"]{where})
from risk_tasks.kernels.catalogue import compile_kernels
from risk_tasks.kernels.jit import target_cpu
print(compile_kernels(), target_cpu())
"""


def test_a_worker_compiles_nothing(figures: Callable[..., None]):
    """It uses the kernels of the image, on a read-only root and as the user of the image."""
    owned = ("--tmpfs=/run/risk-tasks:uid=10001",)
    compiled, cpu = inside("worker", "python", "-c", COUNT.format(where=""), options=owned).split()
    figures(compiled_at_start=int(compiled), cpu=cpu)

    assert (compiled, cpu) == ("0", "x86-64-v3")


def test_without_the_kernels_of_the_image_a_worker_compiles():
    """The count of the test above is not always 0."""
    owned = ("--tmpfs=/run/risk-tasks:uid=10001",)
    program = COUNT.format(where=", __import__('pathlib').Path('/nowhere')")
    command = ("python", "-c", program)
    compiled, _ = inside("worker", *command, options=owned, timeout_s=COMPILES_WITHIN_S).split()

    assert int(compiled) > 0
