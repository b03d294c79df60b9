"""What a command shows while it takes its time: a line on a terminal, and nothing elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from risk_tasks.cli.options import notes

_FRAMES_PER_S = 12.5

#: shows another message in place of the last
Tell = Callable[[str], None]


@contextmanager
def progress(message: str, *, still: bool = False) -> Iterator[Tell]:
    """Show `message` on standard error while something takes its time; at the end it is gone.

    `still`: nothing moves between two messages, so that what is measured meanwhile has no thread
    beside it.
    """
    if not _is_shown():
        yield lambda _: None
        return
    spinner = Spinner("dots", Text(message), style="status.spinner")
    with Live(
        spinner,
        console=notes,
        auto_refresh=not still,
        refresh_per_second=_FRAMES_PER_S,
        transient=True,
        redirect_stdout=_prints_beside(),
    ) as live:
        shown_s = 0.0

        def tell(message: str) -> None:
            nonlocal shown_s
            spinner.update(text=Text(message))
            # At once, since what follows may be over before the next frame; a count that runs
            # shows as many as there are frames.
            if still or time.monotonic() - shown_s >= 1 / _FRAMES_PER_S:
                shown_s = time.monotonic()
                live.refresh()

        yield tell


def _is_shown() -> bool:
    # rich takes FORCE_COLOR for a terminal, which a log file with colours is not.
    return notes.file.isatty() and notes.is_interactive


def _prints_beside() -> bool:
    """Whether standard output is on the same terminal, where a line of it has to make room.

    Elsewhere it is left alone: rich would send it to standard error.
    """
    try:
        return os.path.samestat(os.fstat(sys.stdout.fileno()), os.fstat(notes.file.fileno()))
    except OSError:
        return False
