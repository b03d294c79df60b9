"""The stack as an operator has it: docker-compose, docker, and what the containers say."""

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
#: apart from a stack that somebody runs from the same folder
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
    """One container, as `docker inspect` tells of it."""

    id: str
    told: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return self.told["Name"].lstrip("/")

    @property
    def state(self) -> dict[str, Any]:
        return self.told["State"]

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
        """Return when this container logged `event`, in seconds since the epoch, and the line."""
        found = []
        for line in self.log().splitlines():
            moment, _, text = line.partition(" ")
            if f'"{event}"' in text and text.startswith("{"):
                document = json.loads(text)
                if document["event"] == event and _seconds(moment) >= since:
                    found.append((_seconds(moment), document))
        return found

    def events(self, name: str, since: float = 0.0, until: float = 1e12) -> list[float]:
        """Return when this container logged `name`."""
        return [moment for moment, _ in self.logged(name, since) if moment <= until]

    @property
    def started_at(self) -> float:
        return _seconds(self.state["StartedAt"])


def _seconds(moment: str) -> float:
    """Read the engine's nanoseconds."""
    whole = re.sub(r"\.(\d{6})\d*", r".\1", moment.replace("Z", "+00:00"))
    return datetime.fromisoformat(whole).astimezone(UTC).timestamp()


class Stack:
    """One project of Compose."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._command = [*compose_command(), "--project-name", PROJECT]
        self._environment = {**os.environ, **environment}
        # As they come: the engine remembers 256 events, and every health check is three.
        self._deaths = folder / "deaths.json"
        ours = f"label=com.docker.compose.project={PROJECT}"
        watch = ["docker", "events", "--filter", "event=die", "--filter", ours]
        with self._deaths.open("wb") as out:
            self._watch = subprocess.Popen([*watch, "--format", "{{json .}}"], stdout=out)

    def compose(self, *arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run Compose in the root of the repository; its exit code is the caller's to look at."""
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
        """Run `up`; the block begins when its networks are there, and ends when it has ended."""
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
            _, told = up.communicate(timeout=120)
        assert up.returncode == 0, told

    def scale(self, workers: int) -> None:
        """Change the number of workers as an operator does, and touch nothing else."""
        scale = ("--no-recreate", "--scale", f"worker={workers}")
        done = self.compose("up", "--detach", "--no-build", *scale, "worker")
        assert done.returncode == 0, done.stderr

    def down(self) -> None:
        profiles = [word for name in PROFILES for word in ("--profile", name)]
        self.compose(*profiles, "down", "--volumes", "--timeout", "20")

    def containers(self, service: str = "") -> list[Container]:
        """Return the containers of the project that are there, running or not."""
        filters = ["--filter", f"label=com.docker.compose.project={PROJECT}"]
        if service:
            filters += ["--filter", f"label=com.docker.compose.service={service}"]
        ids = docker("ps", "--all", "--quiet", "--no-trunc", *filters).split()
        # One that the autoscaler removes meanwhile is left out, and is an exit code too.
        done = subprocess.run(["docker", "inspect", *ids], capture_output=True, check=False)
        told = json.loads(done.stdout or "[]") if ids else []
        return sorted((Container(one["Id"], one) for one in told), key=lambda one: one.name)

    def workers(self) -> list[Container]:
        return [one for one in self.containers("worker") if one.state["Running"]]

    def deaths(self, since: float, service: str = "") -> list[tuple[str, int]]:
        """Return which containers ended since then, in order, with their exit codes."""
        told = [json.loads(line) for line in self._deaths.read_text().splitlines()]
        attributes = [one["Actor"]["Attributes"] for one in told if one["timeNano"] / 1e9 >= since]
        return [
            (one["name"], int(one["exitCode"]))
            for one in attributes
            if service in {"", one["com.docker.compose.service"]}
        ]

    def close(self) -> None:
        self._watch.terminate()
        self._watch.wait()

    def await_ready(self, n: int, within_s: float = 90) -> list[Container]:
        """Wait until `n` workers have said since they were started that they serve."""

        def ready() -> list[Container]:
            running = self.workers()
            said = [one for one in running if one.events("worker.ready", since=one.started_at)]
            return said if len(said) == len(running) == n else []

        return eventually(ready, within_s, f"{n} workers that serve")

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.compose("run", "--rm", "-T", "cli", *arguments)

    def load_command(self, **options: object) -> list[str]:
        words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        mount = f"{LOAD}:/load.py:ro"
        run = ["run", "--rm", "-T", "--no-deps", "--volume", mount, "--entrypoint", "python", "cli"]
        return [*self._command, *run, "/load.py", *words]

    @contextmanager
    def load(self, **options: object) -> Iterator[Load]:
        """Send checks from a container of the stack while the block runs, and then to the end."""
        load = Load(self.load_command(**options), self._environment, self._stop_load)
        try:
            yield load
        finally:
            load.end()

    def _stop_load(self) -> None:
        for one in self.containers("cli"):
            docker("kill", "--signal", "TERM", one.id)


class Load:
    """A load that runs, and its verdict once it has ended."""

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
        """Have no more calls made, and return the verdict on those that were."""
        assert self.runs, "it ended by itself"
        self._stop()
        return self.verdict()

    def verdict(self, within_s: float = 240) -> dict[str, Any]:
        if self._verdict is None:
            out, err = self._process.communicate(timeout=within_s)
            assert self._process.returncode == 0, err
            self._verdict = json.loads(out.strip().splitlines()[-1])
        return self._verdict

    def end(self) -> None:
        if self.runs:
            self._process.terminate()
            self._process.wait()


def eventually(look: Any, within_s: float, what: str) -> Any:
    """Return what `look` returns as soon as that is true; fails after `within_s`."""
    give_up_at = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < give_up_at, f"Not within {within_s:g} s: {what}"
        time.sleep(0.25)
    return found


def jain(shares: Sequence[float]) -> float:
    """Return Jain's fairness: 1 where all shares are equal, 1/n where one has all."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0
