"""Compiles kernels for their declared types; a call can wait until its kernel is compiled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, NamedTuple, TypeVar, cast, get_type_hints, overload

import numba
import numpy as np
import numpy.typing as npt
from numba.core.registry import cpu_target

from risk_tasks.kernels.cache import FOLDER, cached_in

# The types of arrays that kernels take, each with the layout that they are compiled for.
Float1D = Annotated[npt.NDArray[np.float64], numba.float64[::1]]
Float2D = Annotated[npt.NDArray[np.float64], numba.float64[:, ::1]]
Int1D = Annotated[npt.NDArray[np.int64], numba.int64[::1]]
Bool1D = Annotated[npt.NDArray[np.bool_], numba.boolean[::1]]
Word1D = Annotated[npt.NDArray[np.uint64], numba.uint64[::1]]
Word2D = Annotated[npt.NDArray[np.uint64], numba.uint64[:, ::1]]
#: returns by instrument, in either precision
Panel = Annotated[
    npt.NDArray[np.float64] | npt.NDArray[np.float32],
    numba.float64[:, ::1],
    numba.float32[:, ::1],
]
#: Numba compiles parts once more for a plain 0, which is a constant, but not for np.int64(0)
Count = int | np.int64
# Arrow arrays are read-only.
ReadOnlyFloat1D = Annotated[
    npt.NDArray[np.float64], numba.types.Array(numba.float64, 1, "C", readonly=True)
]
ReadOnlyCode1D = Annotated[
    npt.NDArray[np.int32], numba.types.Array(numba.int32, 1, "C", readonly=True)
]

_SCALARS = {float: numba.float64, int: numba.int64, bool: numba.boolean, np.uint64: numba.uint64}
#: how long a call without a deadline waits for a kernel
_WAIT_S = 30.0

Function = TypeVar("Function", bound=Callable[..., object])
Types = tuple[Any, ...]


class KernelNotReadyError(Exception):
    """A kernel was not compiled by the deadline of the call that needs it."""


class Specialization(NamedTuple):
    """A kernel for one of the types that it is declared for."""

    kernel: Kernel
    types: Types

    @property
    def key(self) -> str:
        """The name of the kernel and its argument types: the key in the cache."""
        return f"{self.kernel.name}{self.types}"

    def compile(self) -> bool:
        """Load or compile it, and wake the calls that wait for it.

        Returns whether it was compiled, not loaded from the cache.
        """
        self.kernel.compiled.compile(self.types)
        with _arrival:
            self.kernel.deferred.discard(self.types)
            _arrival.notify_all()
        return self.types in self.kernel.compiled.stats.cache_misses

    def defer(self) -> None:
        """Make calls wait for it, from now on until it is compiled."""
        self.kernel.deferred.add(self.types)


class Kernel:
    """A function that is compiled for declared types.

    A call whose types are deferred waits until another thread has called
    `Specialization.compile`; it raises `KernelNotReadyError` at the deadline of `kernels_until`.
    Other calls compile the kernel if necessary.
    """

    def __init__(self, function: Callable[..., object], compiled: Any) -> None:
        self.__doc__, self.__name__ = function.__doc__, function.__name__
        self.name, self.compiled = function.__name__, compiled
        self.deferred: set[Types] = set()
        self._function = function

    def __call__(self, *args: Any) -> None:
        if self.deferred:
            self._await(tuple(map(numba.typeof, args)))
        self.compiled(*args)

    def specializations(self) -> Iterator[Specialization]:
        """Yield the declared specializations; for a panel, float64 comes before float32."""
        hints = get_type_hints(self._function, include_extras=True)
        del hints["return"]
        choices = [
            getattr(hint, "__metadata__", None) or (_SCALARS[hint],) for hint in hints.values()
        ]
        for n in range(max(map(len, choices))):
            yield Specialization(self, tuple(choice[min(n, len(choice) - 1)] for choice in choices))

    def _await(self, types: Types) -> None:
        if types not in self.deferred:
            return
        until_s = _until_s.get()
        left_s = _WAIT_S if until_s is None else until_s - time.monotonic()
        with _arrival:
            requested.append(Specialization(self, types))
            if not _arrival.wait_for(lambda: types not in self.deferred, max(0.0, left_s)):
                raise KernelNotReadyError(self.name)


#: every kernel of the modules that are imported
KERNELS: list[Kernel] = []
#: the specializations that calls wait for, in the order of the calls
requested: list[Specialization] = []

_arrival = threading.Condition()
_until_s: ContextVar[float | None] = ContextVar("kernels_until", default=None)


@contextmanager
def kernels_until(until_s: float) -> Iterator[None]:
    """Make calls in this context wait for kernels until `until_s` on the monotonic clock."""
    token = _until_s.set(until_s)
    try:
        yield
    finally:
        _until_s.reset(token)


def kernel(function: Function) -> Function:
    """Compile `function`, arrays and scalars in, arrays out, for the types of its annotations.

    - `nogil`: worker threads run kernels side by side.
    - no `parallel`: Numba's thread layers abort under a thread pool or after a fork, and the
      order of summation would depend on the number of threads.
    - no `fastmath`: NaN has a meaning (a missing return), and the same inputs give the same bits.
    - `error_model="numpy"`: a division by zero is an infinity that the engine reports, not an
      exception that fails the other checks of the block.
    - `cache`: a worker loads machine code instead of compiling for seconds.
    """
    compiled = _compile(function)
    if compiled is function:  # NUMBA_DISABLE_JIT
        return function
    KERNELS.append(Kernel(function, compiled))
    return cast("Function", KERNELS[-1])


@overload
def part(function: Function) -> Function: ...
@overload
def part(*, reorders: bool) -> Callable[[Function], Function]: ...
def part(
    function: Function | None = None, *, reorders: bool = False
) -> Function | Callable[[Function], Function]:
    """Compile a part of kernels, which is inlined into them.

    With `reorders`, sums use the vector lanes of the processor. Their order depends only on the
    length and the processor, so the same inputs still give the same bits; NaN keeps its meaning.
    """
    if function is None:
        return lambda function: cast("Function", _compile(function, fastmath={"reassoc"}))
    return cast("Function", _compile(function))


def _compile(function: Callable[..., object], **more: Any) -> Any:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", **more}
    with cached_in(FOLDER):
        return numba.njit(cache=FOLDER is not None, **options)(function)


def target_cpu() -> str:
    """Return the processor that kernels are compiled for; NUMBA_CPU_NAME sets it."""
    return str(cpu_target.target_context.codegen().magic_tuple()[1])
