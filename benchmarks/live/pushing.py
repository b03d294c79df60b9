"""Users in processes of their own, and their progress."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import msgspec

from benchmarks.live.books import Done
from benchmarks.live.plan import Plan


class Users:
    """All users of one plan; they begin together."""

    def __init__(self, processes: list[subprocess.Popen[str]], readers: ThreadPoolExecutor) -> None:
        self._processes = processes
        self._readers = readers
        self._sent = [0] * len(processes)
        self._ends: list[Future[Done]] = []

    @property
    def n_sent(self) -> int:
        return sum(self._sent)

    @property
    def are_done(self) -> bool:
        return all(end.done() for end in self._ends)

    def begin(self) -> None:
        for process in self._processes:
            _line(process)
        for number, process in enumerate(self._processes):
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
            self._ends.append(self._readers.submit(self._follow, number))

    def done(self) -> list[Done]:
        """Return the work of each user; raises `RuntimeError` if one did not finish."""
        return [end.result() for end in self._ends]

    def _follow(self, number: int) -> Done:
        while (line := _line(self._processes[number])).isdigit():
            self._sent[number] = int(line)
        done = msgspec.json.decode(line, type=Done)
        self._sent[number] = done.n_changes
        return done


@contextmanager
def users(url: str, plan: Plan) -> Iterator[Users]:
    """Start the users of `plan`; end those that still run at the end."""
    with ThreadPoolExecutor(plan.n_users) as readers, ExitStack() as stack:
        processes = [_user(url, number, plan) for number in range(plan.n_users)]
        for process in processes:
            stack.enter_context(process)
            stack.callback(process.kill)
        yield Users(processes, readers)


def _user(url: str, number: int, plan: Plan) -> subprocess.Popen[str]:
    words = [url, str(number), msgspec.json.encode(plan).decode()]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.live.user", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline().strip()
    if not line:
        raise RuntimeError(f"A user ended: exit code {process.wait()}.")
    return line
