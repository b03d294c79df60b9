"""One thread of a client works at a time.

Arrow and NumPy let go of the interpreter at every call. Threads that each make many short calls
then spend more time on fighting for it than on their work.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext

#: from so many rows of positions on the calls are long, and threads had better work side by side
LONG_ROWS = 100_000


class Turns:
    """Whose turn it is; belongs to one process, since a fork could inherit a lock that is taken."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def of(self, n_rows: int) -> AbstractContextManager[object]:
        """Return what holds the turn while `n_rows` of positions are worked on.

        Nobody waits for long work: it goes on beside that of others.
        """
        return self._turn if n_rows < LONG_ROWS else nullcontext()
