"""Gateway processes and HTTP clients for tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx

from tests.integration.support import ended, running, wait_until

START_TIMEOUT_S = 60
JSON, ARROW, PROBLEM = (
    "application/json",
    "application/vnd.apache.arrow.stream",
    "application/problem+json",
)
TOKENS = {role: f"secret-of-{role}" for role in ("read", "check", "publish", "operate")}


@dataclass
class RunningGateway:
    """A gateway that serves at `url`, and its log."""

    url: str
    process: Popen[bytes]
    log: Path

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, **options)

    def stop(self) -> int:
        """Stop it by SIGTERM and return its exit code."""
        return ended(self.process, self.log)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextmanager
def gateway(
    broker_url: str, folder: Path, settings: Mapping[str, str] | None = None, *, port: int = 0
) -> Iterator[RunningGateway]:
    """Run a gateway on a free port of this machine, and end this process only."""
    log = folder / f"gateway-{len(list(folder.iterdir()))}.log"
    environment = {
        "RISK_TASKS_BROKER_URL": broker_url,
        "RISK_TASKS_TIMEOUT_S": "20",
        **(settings or {}),
    }
    arguments = ["-m", "risk_tasks", "gateway", "--port", port]
    with running(*arguments, log=log, settings=environment) as process:

        def ready() -> dict[str, Any] | None:
            assert process.poll() is None, log.read_text()
            lines = log.read_text().splitlines()
            found = [json.loads(line) for line in lines if '"gateway.ready"' in line]
            return found[0] if found else None

        event = wait_until(ready, START_TIMEOUT_S, "the gateway to be ready")
        yield RunningGateway(f"http://127.0.0.1:{event['port']}", process, log)


def token_file(folder: Path) -> Path:
    """Write a file with one token for each role and return its path."""
    path = folder / "tokens.toml"
    path.write_text(
        "\n".join(
            f'[[tokens]]\nname = "{role}"\nroles = ["{role}"]\n'
            f'sha256 = "{hashlib.sha256(secret.encode()).hexdigest()}"\n'
            for role, secret in TOKENS.items()
        )
    )
    return path


def bearer(role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[role]}"}


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check the problem document in `answer` and return it."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    problem = answer.json()
    assert problem["type"] == f"urn:risk-tasks:problem:{code}"
    assert (problem["status"], problem["code"]) == (status, code), problem
    assert problem["title"]
    assert problem["detail"]
    return problem
