"""The one place that decides how kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba
from numba.core.registry import cpu_target

Kernel = TypeVar("Kernel", bound=Callable[..., None])


def kernel(function: Kernel) -> Kernel:
    """Compile `function` as every kernel here is compiled.

    - `nogil`: worker threads run kernels side by side.
    - no `parallel`: Numba's thread layers abort under a thread pool or after a fork, and the
      order of summation would depend on the number of threads.
    - no `fastmath`: NaN has a meaning (a missing return), and the same inputs give the same bits.
    - `error_model="numpy"`: a division by zero is an infinity that the engine reports, not an
      exception out of a block of other people's checks.
    - `cache`: a worker loads machine code instead of compiling for seconds. Where no directory
      can be written, as in a read-only container, it compiles at each start instead.
    """
    try:
        compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        compiled = numba.njit(nogil=True, error_model="numpy")(function)
    return cast("Kernel", compiled)


def target_cpu() -> str:
    """Return the processor that kernels are compiled for; NUMBA_CPU_NAME sets it."""
    return str(cpu_target.target_context.codegen().magic_tuple()[1])
