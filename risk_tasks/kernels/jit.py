"""The one place that decides how kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast, overload

import numba
from numba.core import event
from numba.core.registry import cpu_target

Kernel = TypeVar("Kernel", bound=Callable[..., None])
Part = TypeVar("Part", bound=Callable[..., object])


def kernel(function: Kernel) -> Kernel:
    """Compile `function`, arrays and scalars in, arrays out, as every kernel here is compiled.

    - `nogil`: worker threads run kernels side by side.
    - no `parallel`: Numba's thread layers abort under a thread pool or after a fork, and the
      order of summation would depend on the number of threads.
    - no `fastmath`: NaN has a meaning (a missing return), and the same inputs give the same bits.
    - `error_model="numpy"`: a division by zero is an infinity that the engine reports, not an
      exception out of a block of other people's checks.
    - `cache`: a worker loads machine code instead of compiling for seconds. Where no directory
      can be written, as in a read-only container, it compiles at each start instead.
    """
    return cast("Kernel", _compile(function))


@overload
def part(function: Part) -> Part: ...
@overload
def part(*, reorders: bool) -> Callable[[Part], Part]: ...
def part(function: Part | None = None, *, reorders: bool = False) -> Part | Callable[[Part], Part]:
    """Compile a part of the kernels beside it, which is inlined into them.

    A part stands in the file of its kernels: Numba's cache looks at that file alone. One that
    `reorders` adds in the lanes of the processor: the order depends on nothing but the length and
    the processor, so that the same inputs still give the same bits; NaN keeps its meaning.
    """
    if function is None:
        return lambda function: cast("Part", _compile(function, fastmath={"reassoc"}))
    return cast("Part", _compile(function))


def _compile(function: Callable[..., object], **more: Any) -> Callable[..., object]:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", **more}
    try:
        return cast("Callable[..., object]", numba.njit(cache=True, **options)(function))
    except RuntimeError:
        return cast("Callable[..., object]", numba.njit(**options)(function))


def recorded_compilations() -> Any:
    """Return a context manager that yields a recorder: its `buffer` has Numba's compilations.

    What is loaded from a cache is not among them.
    """
    return event.install_recorder("numba:compile")


def target_cpu() -> str:
    """Return the processor that kernels are compiled for; NUMBA_CPU_NAME sets it."""
    return str(cpu_target.target_context.codegen().magic_tuple()[1])
