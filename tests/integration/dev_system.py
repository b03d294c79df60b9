"""A running `risk-tasks dev` for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

from tests.integration.support import ended, running, wait_until

READY_TIMEOUT_S = 60


@dataclass
class Dev:
    """A running `dev` and its output."""

    process: Popen[bytes]
    ready_file: Path
    log: Path

    def ready(self) -> dict[str, Any]:
        return json.loads(self.ready_file.read_text())

    def pids(self) -> dict[str, int]:
        return self.ready()["pids"]


@contextmanager
def dev(folder: Path, *options: object, await_ready: bool = True) -> Iterator[Dev]:
    """Run `dev` and stop all of its processes afterwards."""
    system = Dev(None, folder / "ready.json", folder / "dev.log")
    arguments = ["-m", "risk_tasks", "dev", "--ready-file", system.ready_file, *options]
    with running(*arguments, log=system.log, cwd=folder, settings={}) as process:
        system.process = process
        try:
            if await_ready:
                wait_until(
                    lambda: system.ready_file.exists() or process.poll() is not None,
                    READY_TIMEOUT_S,
                    "the ready file",
                )
                assert process.poll() is None, system.log.read_text()
            yield system
        finally:
            if process.poll() is None:
                ended(process, system.log)
