"""The kernels that the image brings, laid where Numba looks for them.

The root of a container is read-only, and Numba reads no cache in a folder that it cannot write to:
it would compile for half a minute instead.
"""

from __future__ import annotations

import shutil
from pathlib import Path

#: where the image's build compiled them
BAKED = Path("/opt/kernels")


def unpack(into: str | None, baked: Path = BAKED) -> None:
    """Copy the baked kernels into the folder `into`, which NUMBA_CACHE_DIR names; else nothing."""
    if into and baked.is_dir() and Path(into) != baked:
        shutil.copytree(baked, into, dirs_exist_ok=True)
