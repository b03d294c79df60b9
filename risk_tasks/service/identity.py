"""What a number depends on, as one hash: the same inputs have the same hash on any machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version

from risk_tasks.engine import PortfolioBlock
from risk_tasks.kernels.jit import target_cpu
from risk_tasks.model.measures import MeasureName, MeasureSettings
from risk_tasks.wire.documents import settings_document

#: the code and the processor that it is compiled for, which both shape the bits of a result
ENGINE_VERSION = f"{version('risk-tasks')}/{target_cpu()}"


def input_hashes(
    block: PortfolioBlock,
    portfolio_ids: Sequence[str],
    market_id: str,
    names: Sequence[MeasureName],
    settings: MeasureSettings,
) -> list[str]:
    """Return a SHA-256 for each portfolio of the block.

    Limits are not in it: they decide, but no number depends on them.
    """
    terms = [ENGINE_VERSION, market_id, [str(name) for name in names], settings_document(settings)]
    common = hashlib.sha256(json.dumps(terms).encode())
    hashes = []
    for place, portfolio_id in enumerate(portfolio_ids):
        row = block.row(place)
        digest = common.copy()
        digest.update(json.dumps([portfolio_id, len(row.instrument)]).encode())
        for part in (row.instrument, row.quantity, row.cash, row.nav):
            digest.update(part.tobytes())
        hashes.append(digest.hexdigest())
    return hashes
