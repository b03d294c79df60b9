"""The stack on a server that is not part of it: TLS, a private CA and a client certificate."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.certificates import certify
from tests.compose.stack import ROOT, compose_command, docker, eventually

PROJECT = "risk-tasks-own"
SERVER = f"{PROJECT}-server"
FILES = ("--file", "docker-compose.yml", "--file", "deploy/own-redis.yml")
SERVICES = {"worker", "worker-critical", "gateway-1", "gateway-2", "nginx", "beat", "flower"}


def compose(secrets: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ports = {f"RISK_TASKS_{name}_PORT": "0" for name in ("FLOWER", "GATEWAY", "LOCAL")}
    return subprocess.run(
        [*compose_command(), *FILES, "--project-name", PROJECT, *arguments],
        cwd=ROOT,
        env={**os.environ, **ports, "RISK_TASKS_SECRETS": str(secrets)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Secrets for a server of our own, made as the guide says."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    url = "rediss://managed:6380/0?ssl_ca_certs=/run/secrets/broker_ca"
    files = "&ssl_certfile=/run/secrets/broker_cert&ssl_keyfile=/run/secrets/broker_key"
    (folder / "broker_url").write_text(url + files + "\n")
    certify(tmp_path, "DNS:managed")
    for name, file in (("ca", "ca.crt"), ("cert", "client.crt"), ("key", "client.key")):
        shutil.copy(tmp_path / file, folder / f"broker_{name}")
    (tmp_path / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "secrets.sh", tmp_path / "deploy")
    subprocess.run(["sh", tmp_path / "deploy" / "secrets.sh"], check=True)
    for path in (*tmp_path.glob("*.crt"), *tmp_path.glob("*.key"), *folder.iterdir()):
        path.chmod(0o444)
    tmp_path.chmod(0o755)
    return folder


@contextmanager
def managed_server(folder: Path) -> Iterator[None]:
    """A server that accepts only TLS with a certificate of our CA, in the network of the stack."""
    options = ["--port", "0", "--tls-port", "6380", "--save", "", "--protected-mode", "no"]
    for option, name in (("cert", "server.crt"), ("key", "server.key"), ("ca-cert", "ca.crt")):
        options += [f"--tls-{option}-file", f"/certificates/{name}"]
    network = ("--network", f"{PROJECT}_backend", "--network-alias", "managed")
    volume = ("--volume", f"{folder}:/certificates:ro")
    image = "risk-tasks/redis:dev"
    docker("run", "--detach", "--name", SERVER, *network, *volume, image, *options)
    try:
        yield
    finally:
        docker("rm", "--force", SERVER)


def test_the_stack_runs_on_a_server_of_our_own(secrets: Path, tmp_path: Path) -> None:
    """No server of the stack starts; every role connects by TLS; a check is answered."""
    try:
        done = compose(secrets, "up", "--detach", "--no-build")
        assert done.returncode == 0, done.stderr
        with managed_server(tmp_path):
            last: dict[str, str] = {}
            eventually(lambda: _all_answer(secrets, last), 90, f"the roles: {last}")
            [network] = json.loads(docker("network", "inspect", f"{PROJECT}_backend"))
            assert not network["Internal"]
            running = docker(
                *("ps", "--filter", f"label=com.docker.compose.project={PROJECT}"),
                *("--format", '{{.Label "com.docker.compose.service"}}'),
            )
            assert set(running.split()) == SERVICES
    finally:
        compose(secrets, "down", "--volumes", "--timeout", "20")


def _all_answer(secrets: Path, last: dict[str, str]) -> bool:
    """Whether `doctor` finds a worker of each lane that answers, and a scheduler; fills `last`."""
    done = compose(secrets, "run", "--rm", "--no-deps", "cli", "doctor", "--json")
    rows = json.loads(done.stdout) if done.stdout else []
    last.update({row["subject"]: row["state"] for row in rows}, stderr=done.stderr)
    answers = [f"answer from {lane}" for lane in ("critical", "normal", "batch")]
    return all(last.get(subject) == "ok" for subject in (*answers, "scheduler", "server"))
