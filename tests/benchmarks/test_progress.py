"""What `python -m benchmarks` prints while it runs."""

from __future__ import annotations

import subprocess
import sys

from tests.integration.support import REPOSITORY, environment
from tests.integration.terminals import on_terminal
from tests.integration.test_progress import assert_shown_and_gone

BENCHMARK = """
from benchmarks import __main__ as command
command.BENCHMARKS = {"first": lambda: print("one row"), "second": lambda: print("another")}
command.main(["second", "--full", "first"])
"""


def test_the_running_benchmark_is_shown_below_the_printed_rows():
    """On the same terminal; rows that are redirected do not appear on it."""
    elsewhere = on_terminal(["-c", BENCHMARK], cwd=REPOSITORY)
    beside = on_terminal(["-c", BENCHMARK], cwd=REPOSITORY, stdout_too=True)

    messages = ["Measuring second, 1 of 2", "Measuring first, 2 of 2"]
    assert elsewhere.stdout == "another\none row\n"
    assert "row" not in elsewhere.terminal
    for shown in (elsewhere, beside):
        assert_shown_and_gone(shown, messages)
    assert "another" in beside.terminal
    assert beside.terminal.index("another") > beside.terminal.index(messages[0])


def test_without_a_terminal_only_rows_are_printed():
    done = subprocess.run(
        [sys.executable, "-c", BENCHMARK],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("another\none row\n", "")


def test_an_unknown_name_is_refused_with_the_known_ones():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "kernel", "latencies"],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert done.returncode == 2
    assert "Unknown benchmark 'latencies': expected kernel, cache," in done.stderr
    assert done.stdout == ""
