"""Every kernel, in the order in which kernels are compiled."""

from __future__ import annotations

import os
from typing import Any

from risk_tasks.kernels import (
    calendars,
    covariance,
    headroom,
    history,
    positions,
    simulation,
    weighted,
)
from risk_tasks.kernels.cache import FOLDER, Cache
from risk_tasks.kernels.jit import KERNELS, Kernel, Specialization

__all__ = [
    "calendars",
    "compile_kernels",
    "covariance",
    "headroom",
    "kernels",
    "simulation",
    "weighted",
]

#: the kernels of the standard measures, of stress losses, and of limits on them
_STANDARD: tuple[Any, ...] = (
    positions.locate,
    positions.exposure,
    positions.concentration,
    history.outcomes,
    history.value_at_risk,
    history.expected_shortfall,
    positions.stress_loss,
    positions.coverage,
    # for the explanations of breaches and of invalid positions
    history.profit_and_loss,
    positions.repeated_position,
)


def kernels() -> tuple[list[Specialization], list[Specialization]]:
    """Return the standard set and the others; both are empty if NUMBA_DISABLE_JIT is set."""
    standard = [next(one.specializations()) for one in _STANDARD if isinstance(one, Kernel)]
    others = [one for kernel in KERNELS for one in kernel.specializations() if one not in standard]
    # A panel in float32 is rare.
    return standard, sorted(others, key=lambda one: "float32" in one.key)


def compile_kernels(parent: int | None = None) -> int:
    """Compile the kernels that the cache lacks, load the others; return the number compiled.

    Kernels that calls in other processes wait for come first. Stops early if the process `parent`,
    which started this one, has ended.
    """
    standard, others = kernels()
    left = {one.key: one for one in standard + others}
    cache, n_compiled = None if FOLDER is None else Cache(FOLDER), 0
    while left and parent in (None, os.getppid()):
        key = next(
            (one for one in (cache.requested() if cache else ()) if one in left), next(iter(left))
        )
        n_compiled += compile_one(left.pop(key), cache)
    return n_compiled


def compile_one(one: Specialization, cache: Cache | None) -> bool:
    """Compile or load `one`, record it in `cache`, and return whether it was compiled."""
    is_compiled = one.compile()
    if cache is not None and one.key not in cache.compiled():
        cache.record(one.key)
    return is_compiled
