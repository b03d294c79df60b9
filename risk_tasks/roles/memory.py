"""Memory that a process keeps between messages, instead of asking the kernel for it anew."""

from __future__ import annotations

import ctypes

#: of `mallopt` in glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
#: what a block takes and its columns take is a few megabytes at a time
_KEPT_BYTES = 256 << 20
_AHEAD_BYTES = 16 << 20


def keep_memory() -> bool:
    """Have the allocator keep what was freed; returns whether it is one that can be told so.

    A block's columns are too large for what glibc keeps by itself, so that each page of them would
    be zeroed and mapped once a block: six thousand a call of 50,000 checks, a fifth of a worker's
    time where pages cost as much as in a small virtual machine.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    told = {_MMAP_THRESHOLD: _KEPT_BYTES, _TRIM_THRESHOLD: _KEPT_BYTES, _TOP_PAD: _AHEAD_BYTES}
    return all(mallopt(option, size) == 1 for option, size in told.items())
