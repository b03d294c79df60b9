"""The fingerprint of a check: a hash of its inputs, which is equal on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import msgspec
import numpy as np

from risk_tasks.engine import PortfolioBlock
from risk_tasks.kernels.jit import target_cpu
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.wire.documents import settings_document

#: increases with each change of formulas that changes bits within one version of the package
_FORMULAS = 2
#: the version of the code and the target processor: both affect the bits of a result
ENGINE_VERSION = f"{version('risk-tasks')}.{_FORMULAS}/{target_cpu()}"


def input_hashes(
    block: PortfolioBlock,
    portfolio_ids: Sequence[str],
    market_id: str,
    names: Sequence[MeasureName],
    settings: MeasureSettings,
) -> list[str]:
    """Return a SHA-256 for each portfolio of the block.

    It does not cover limits, because no number depends on them.
    """
    common = _common(market_id, tuple(names), settings)
    held = np.stack([block.instrument.astype(np.float64), block.quantity], axis=1).tobytes()
    worth = np.stack([block.cash, block.nav], axis=1).tobytes()
    starts = block.offsets.tolist()
    hashes = []
    for row, portfolio_id in enumerate(portfolio_ids):
        start, stop = starts[row], starts[row + 1]
        digest = common.copy()
        digest.update(msgspec.json.encode((portfolio_id, stop - start)))
        digest.update(held[16 * start : 16 * stop])
        digest.update(worth[16 * row : 16 * (row + 1)])
        hashes.append(digest.hexdigest())
    return hashes


@lru_cache(maxsize=256)
def _common(market_id: str, names: tuple[MeasureName, ...], settings: MeasureSettings) -> Any:
    """Return the hash of the terms of a call; callers copy it and do not update it."""
    terms = [ENGINE_VERSION, market_id, [str(name) for name in names], settings_document(settings)]
    return hashlib.sha256(json.dumps(terms).encode())
