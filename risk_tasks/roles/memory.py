"""Settings of the memory allocator."""

from __future__ import annotations

import ctypes

#: options of `mallopt` in malloc.h of glibc
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
#: a block and its columns need a few megabytes at a time
_KEPT_BYTES = 256 << 20
_AHEAD_BYTES = 16 << 20


def keep_memory() -> bool:
    """Make glibc keep freed memory; returns False for another allocator.

    By default glibc returns memory of the size of a block's columns to the kernel, which maps and
    zeroes the pages again for each block: 6,000 pages for a call of 50,000 checks, which took 20 %
    of the time of a worker in a small virtual machine.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    options = {_MMAP_THRESHOLD: _KEPT_BYTES, _TRIM_THRESHOLD: _KEPT_BYTES, _TOP_PAD: _AHEAD_BYTES}
    return all(mallopt(option, size) == 1 for option, size in options.items())
