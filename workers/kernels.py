"""Copies the kernels of the image to the folder of Numba's cache.

The root of a container is read-only, and Numba ignores a cache in a folder that it cannot write to:
the worker would compile instead.
"""

from __future__ import annotations

import shutil
from pathlib import Path

#: the kernels that the build of the image compiled
BAKED = Path("/opt/kernels")


def unpack(into: str | None, baked: Path = BAKED) -> None:
    """Copy the kernels in `baked` to the folder `into` (NUMBA_CACHE_DIR), if both are given."""
    if into and baked.is_dir() and Path(into) != baked:
        shutil.copytree(baked, into, dirs_exist_ok=True)
