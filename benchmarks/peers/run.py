"""Measure one peer from our own environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.environment import ROOT
from benchmarks.peers.environment import PEERS as ENVIRONMENT

#: one message for each check
PEERS = ("celery", "dramatiq", "huey", "taskiq", "rq")
#: many checks in each message, computed by our kernels
BATCHED_PEERS = ("celery_batched", "dramatiq_batched")

_TIMEOUT_S = 600.0
_STOP_WITHIN_S = 15.0
_TAIL = 2_000


def measure(
    peer: str,
    *,
    broker_url: str,
    market_path: Path,
    job: str,
    mode: str,
    n_checks: int,
    n_rounds: int,
    n_users: int = 8,
    timeout_s: float = _TIMEOUT_S,
) -> dict[str, Any]:
    """Run `peer` against the server, and return its printed figures.

    `market_path` is a file of `job.write_market`; `mode` is batch, single or users; `n_checks` is
    the size of one round. Raises `RuntimeError` with the end of the log if the peer fails or takes
    longer than `timeout_s`.
    """
    python = ENVIRONMENT.ensure()
    command = [
        *(str(python), "-m", f"benchmarks.peers.{peer}_peer", "--broker-url", broker_url),
        *("--market", str(Path(market_path).resolve()), "--job", job, "--mode", mode),
        *("--checks", str(n_checks), "--rounds", str(n_rounds), "--users", str(n_users)),
    ]
    # A file, not a pipe: a worker that outlives its client would hold a pipe open.
    with tempfile.TemporaryFile() as log:
        client = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        try:
            output, _ = client.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{peer} took longer than {timeout_s} s: {_end(log)}") from None
        finally:
            _stop(client)
        if client.returncode != 0:
            raise RuntimeError(f"{peer} failed: {_end(log)}")
    measured: dict[str, Any] = json.loads(output)
    return measured


def _environment() -> dict[str, str]:
    # One thread of linear algebra per process, as every worker has one core.
    return os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def _stop(client: subprocess.Popen[bytes]) -> None:
    """End the client, which stops its workers, and then the rest of its session."""
    if client.poll() is None:
        client.terminate()
        with suppress(subprocess.TimeoutExpired):
            client.wait(_STOP_WITHIN_S)
    with suppress(ProcessLookupError):
        os.killpg(client.pid, signal.SIGKILL)
    client.wait()
    if client.stdout is not None:
        client.stdout.close()


def _end(log: Any) -> str:
    log.seek(0)
    text: str = log.read().decode(errors="replace")
    return text[-_TAIL:]
