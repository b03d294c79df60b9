"""Call the libraries from our own environment."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.environment import ROOT
from benchmarks.libraries.books import Books
from benchmarks.libraries.environment import LIBRARIES

_STOP_WITHIN_S = 15.0
_TAIL = 2_000


@dataclass(frozen=True)
class Libraries:
    """A process of the libraries' environment that has loaded some books."""

    process: subprocess.Popen[str]
    log: IO[bytes]

    def ask(self, **question: Any) -> Any:
        """Return the answer of `worker`.

        Raises `RuntimeError` with the end of its log if the process ended.
        """
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(question) + "\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.log.seek(0)
            end = self.log.read().decode(errors="replace")[-_TAIL:]
            raise RuntimeError(f"The libraries' process ended on {question}: {end}")
        return json.loads(line)


@contextmanager
def libraries(books: Books) -> Iterator[Libraries]:
    """Start a process of the libraries' environment on `books`."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        path = Path(folder) / "books.npz"
        books.write(path)
        process = subprocess.Popen(
            [str(LIBRARIES.python), "-m", "benchmarks.libraries.worker", str(path)],
            cwd=ROOT,
            # One thread of linear algebra, as our kernels use one.
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield Libraries(process, log)
        finally:
            try:
                process.communicate(timeout=_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
