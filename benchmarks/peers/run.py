"""Measure one peer from our own environment, on a server of its own."""

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
from benchmarks.peers import job as jobs
from benchmarks.peers.environment import PEERS as ENVIRONMENT
from risk_tasks.embedding import FleetPlan, running_fleet
from risk_tasks.model.market import MarketSnapshot

#: one message for each check
PEERS = ("celery", "dramatiq", "huey", "taskiq", "rq")
#: many checks in each message, computed by our kernels
BATCHED_PEERS = ("celery_batched", "dramatiq_batched")

_TIMEOUT_S = 600.0
_STOP_WITHIN_S = 15.0
_TAIL = 2_000


def measure(
    peer: str, snapshot: MarketSnapshot, *, job: str, mode: str, n_checks: int, n_users: int = 8
) -> dict[str, Any]:
    """Run one round of `peer` on a new server, and return its printed figures.

    `mode` is batch, single or users. The server is new, so that no peer is slowed by the keys of
    another. Raises `RuntimeError` with the end of the log if the peer fails or takes too long.
    """
    with tempfile.TemporaryDirectory() as folder, running_fleet(FleetPlan(n_workers=0)) as bare:
        market = Path(folder) / "market.npz"
        jobs.write_market(market, snapshot.instruments, snapshot.prices, snapshot.returns)
        sizes = ("--checks", str(n_checks), "--rounds", "1", "--users", str(n_users))
        terms = ("--market", str(market), "--job", job, "--mode", mode, *sizes)
        return _run(peer, "--broker-url", bare.url, *terms)


def _run(peer: str, *arguments: str) -> dict[str, Any]:
    command = [str(ENVIRONMENT.ensure()), "-m", f"benchmarks.peers.{peer}_peer", *arguments]
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
            output, _ = client.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{peer} took longer than {_TIMEOUT_S:g} s: {_end(log)}") from None
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
