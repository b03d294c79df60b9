"""One stack for all of these tests, and their measurements in build/compose.json."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.compose.stack import ROOT, Stack, docker

FIGURES = ROOT / "build" / "compose.json"
_SOCKET = Path(os.environ.get("RISK_TASKS_DOCKER_SOCKET", "/var/run/docker.sock"))
#: a policy with short times, for the one service that `up` does not start
AUTOSCALER = {
    "RISK_TASKS_DOCKER_GID": str(_SOCKET.stat().st_gid) if _SOCKET.exists() else "0",
    "RISK_TASKS_AUTOSCALER_MAX": "3",
    "RISK_TASKS_AUTOSCALER_TARGET_S": "0.1",
    "RISK_TASKS_AUTOSCALER_COOLDOWN_S": "3",
}


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether loads have their full length: `make test-compose FULL=1`."""
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="session")
def figures() -> Callable[..., None]:
    """Adds measurements to build/compose.json."""

    def add(**numbers: object) -> None:
        held = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
        FIGURES.parent.mkdir(exist_ok=True)
        FIGURES.write_text(json.dumps({**held, **numbers}, indent=2) + "\n")

    return add


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def ports() -> dict[str, int]:
    """Free ports of this machine."""
    return {name: _free_port() for name in ("flower", "redis", "gateway")}


@pytest.fixture(scope="session")
def stack(
    ports: dict[str, int],
    figures: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """The whole stack with one worker; everything of it is removed afterwards."""
    subprocess.run(["sh", ROOT / "deploy" / "secrets.sh"], check=True)
    stack = Stack(
        {
            "RISK_TASKS_FLOWER_PORT": str(ports["flower"]),
            "RISK_TASKS_LOCAL_PORT": str(ports["redis"]),
            **AUTOSCALER,
            "RISK_TASKS_GATEWAY_PORT": str(ports["gateway"]),
        },
        tmp_path_factory.mktemp("stack"),
    )
    stack.down()
    started = time.time()
    try:
        with stack.starting(workers=1), stack.load() as load:
            first = load.verdict()["first_answer_at"]
        figures(up_to_first_answer_s=round(first - started, 2))
        yield stack
    finally:
        if os.environ.get("COMPOSE_LOGS"):
            _keep_logs(stack, Path(os.environ["COMPOSE_LOGS"]))
        stopping = time.time()
        stack.down()
        stack.close()
    ended = stack.deaths(stopping)
    figures(down=ended)
    assert ended
    assert [name for name, code in ended if code != 0] == []


def _keep_logs(stack: Stack, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for one in stack.containers():
        (folder / f"{one.name}.log").write_text(one.log())


@pytest.fixture(scope="session")
def image_mb() -> Callable[[str], float]:
    """Returns the size of an image in MB."""
    return lambda name: int(docker("image", "inspect", "--format", "{{.Size}}", name)) / 1e6
