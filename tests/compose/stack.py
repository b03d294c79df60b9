"""The stack of docker-compose.yml, driven by docker-compose and docker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: not the name of a stack that is run from the same folder
PROJECT = "risk-tasks-test"
PROFILES = ("local", "tools", "autoscale")
LOAD = ROOT / "tests" / "compose" / "load.py"


def docker(*arguments: str, timeout_s: float = 120) -> str:
    """Run the engine's client and return what it prints."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}:\n{done.stderr}"
    return done.stdout


def compose_command() -> list[str]:
    """Return Compose v2 where it is there, else docker-compose."""
    v2 = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return ["docker", "compose"] if v2.returncode == 0 else ["docker-compose"]


@dataclass(frozen=True)
class Container:
    """One container, as `docker inspect` describes it."""

    id: str
    details: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return self.details["Name"].lstrip("/")

    @property
    def state(self) -> dict[str, Any]:
        return self.details["State"]

    @property
    def health(self) -> str:
        return self.state.get("Health", {}).get("Status", "none")

    def log(self, *options: str) -> str:
        done = subprocess.run(
            ["docker", "logs", "--timestamps", *options, self.id],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        return done.stdout

    def logged(self, event: str, since: float = 0.0) -> list[tuple[float, dict[str, Any]]]:
        """Return the lines of `event` in the log, each with its time in seconds since the epoch."""
        found = []
        for line in self.log().splitlines():
            moment, _, text = line.partition(" ")
            if f'"{event}"' in text and text.startswith("{"):
                document = json.loads(text)
                if document["event"] == event and _seconds(moment) >= since:
                    found.append((_seconds(moment), document))
        return found

    def events(self, name: str, since: float = 0.0, until: float = 1e12) -> list[float]:
        """Return the times at which this container logged `name`."""
        return [moment for moment, _ in self.logged(name, since) if moment <= until]

    @property
    def started_at(self) -> float:
        return _seconds(self.state["StartedAt"])


def _seconds(moment: str) -> float:
    """Return the engine's time stamp, which has nanoseconds, in seconds since the epoch."""
    whole = re.sub(r"\.(\d{6})\d*", r".\1", moment.replace("Z", "+00:00"))
    return datetime.fromisoformat(whole).astimezone(UTC).timestamp()


class Stack:
    """One project of Compose."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._command = [*compose_command(), "--project-name", PROJECT]
        self._environment = {**os.environ, **environment}
        # Recorded from the start: the engine keeps 256 events, and a health check makes three.
        self._deaths = folder / "deaths.json"
        ours = f"label=com.docker.compose.project={PROJECT}"
        watch = ["docker", "events", "--filter", "event=die", "--filter", ours]
        with self._deaths.open("wb") as out:
            self._watch = subprocess.Popen([*watch, "--format", "{{json .}}"], stdout=out)

    def compose(self, *arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run Compose in the root of the repository; does not raise where it fails."""
        return subprocess.run(
            [*self._command, *arguments],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    @contextmanager
    def starting(self, workers: int) -> Iterator[None]:
        """Run `up`; the block begins when the networks exist, and `up` has ended after it."""
        words = ["up", "--detach", "--no-build", "--scale", f"worker={workers}"]
        with subprocess.Popen(
            [*self._command, *words],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as up:
            eventually(lambda: f"{PROJECT}_edge" in docker("network", "ls"), 30, "networks")
            yield
            _, errors = up.communicate(timeout=120)
        assert up.returncode == 0, errors

    def scale(self, workers: int) -> None:
        """Change the number of workers and recreate no container."""
        scale = ("--no-recreate", "--scale", f"worker={workers}")
        done = self.compose("up", "--detach", "--no-build", *scale, "worker")
        assert done.returncode == 0, done.stderr

    def down(self) -> None:
        profiles = [word for name in PROFILES for word in ("--profile", name)]
        self.compose(*profiles, "down", "--volumes", "--timeout", "20")

    def containers(self, service: str = "") -> list[Container]:
        """Return the containers of the project, running or not."""
        filters = ["--filter", f"label=com.docker.compose.project={PROJECT}"]
        if service:
            filters += ["--filter", f"label=com.docker.compose.service={service}"]
        ids = docker("ps", "--all", "--quiet", "--no-trunc", *filters).split()
        # A container that the autoscaler removes meanwhile is left out and makes inspect fail.
        done = subprocess.run(["docker", "inspect", *ids], capture_output=True, check=False)
        found = json.loads(done.stdout or "[]") if ids else []
        return sorted((Container(one["Id"], one) for one in found), key=lambda one: one.name)

    def workers(self) -> list[Container]:
        return [one for one in self.containers("worker") if one.state["Running"]]

    def deaths(self, since: float, service: str = "") -> list[tuple[str, int]]:
        """Return the containers that ended since then, in order, with their exit codes."""
        events = [json.loads(line) for line in self._deaths.read_text().splitlines()]
        attributes = [
            one["Actor"]["Attributes"] for one in events if one["timeNano"] / 1e9 >= since
        ]
        return [
            (one["name"], int(one["exitCode"]))
            for one in attributes
            if service in {"", one["com.docker.compose.service"]}
        ]

    def close(self) -> None:
        self._watch.terminate()
        self._watch.wait()

    def await_ready(self, n: int, timeout_s: float = 90) -> list[Container]:
        """Wait until exactly `n` workers run and each has logged that it is ready."""

        def ready() -> list[Container]:
            running = self.workers()
            logged = [one for one in running if one.events("worker.ready", since=one.started_at)]
            return logged if len(logged) == len(running) == n else []

        return eventually(ready, timeout_s, f"{n} ready workers")

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.compose("run", "--rm", "-T", "cli", *arguments)

    def load_command(self, **options: object) -> list[str]:
        words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        mount = f"{LOAD}:/load.py:ro"
        run = ["run", "--rm", "-T", "--no-deps", "--volume", mount, "--entrypoint", "python", "cli"]
        return [*self._command, *run, "/load.py", *words]

    @contextmanager
    def load(self, **options: object) -> Iterator[Load]:
        """Send checks from a container of the stack while the block runs."""
        load = Load(self.load_command(**options), self._environment, self._stop_load)
        try:
            yield load
        finally:
            load.end()

    def _stop_load(self) -> None:
        for one in self.containers("cli"):
            docker("kill", "--signal", "TERM", one.id)


class Load:
    """A load that runs, and its result once it has ended."""

    def __init__(
        self, command: Sequence[str], environment: dict[str, str], stop: Callable[[], None]
    ) -> None:
        self._stop = stop
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._verdict: dict[str, Any] | None = None

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def ended(self) -> dict[str, Any]:
        """Stop making calls, and return the result of the calls that were made."""
        assert self.runs, "the load ended before it was stopped"
        self._stop()
        return self.verdict()

    def verdict(self, timeout_s: float = 240) -> dict[str, Any]:
        if self._verdict is None:
            out, err = self._process.communicate(timeout=timeout_s)
            assert self._process.returncode == 0, err
            self._verdict = json.loads(out.strip().splitlines()[-1])
        return self._verdict

    def end(self) -> None:
        if self.runs:
            self._process.terminate()
            self._process.wait()


def eventually(look: Any, timeout_s: float, what: str) -> Any:
    """Call `look` until it returns a true value, and return that; fail after `timeout_s`."""
    give_up_at = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < give_up_at, f"Not within {timeout_s:g} s: {what}"
        time.sleep(0.25)
    return found


def jain(shares: Sequence[float]) -> float:
    """Return Jain's fairness: 1 where all shares are equal, 1/n where one has all."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0
