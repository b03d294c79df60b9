"""The allocator reuses freed memory without calling the kernel."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource, threading
from risk_tasks.roles.memory import keep_memory

keeps = {keeps} and keep_memory()

def faults(n):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(n):
        # Like a block: several columns at once, all freed before the next block.
        held = [bytes(size) for size in (600_000, 1_200_000, 1_200_000)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def run():
    faults(3)
    print(int(keeps), faults(20))

# In a thread, as for blocks: a thread has an arena of its own.
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def page_faults(*, keeps: bool) -> tuple[int, int]:
    program = PROGRAM.format(keeps=keeps)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    kept, faults = done.stdout.split()
    return int(kept), int(faults)


def test_freed_memory_is_kept_for_the_next_block():
    """Otherwise each block would map hundreds of pages."""
    kept, few = page_faults(keeps=True)
    _, many = page_faults(keeps=False)

    assert kept == 1
    assert many > 20 * 200
    assert few < many / 50
