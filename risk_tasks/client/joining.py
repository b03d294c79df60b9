"""The requests of several callers as one, under the same terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from risk_tasks.wire.request import RequestBlock


def join(requests: Sequence[RequestBlock]) -> RequestBlock:
    """Return the portfolios of all `requests`, at least one, in order; ids may repeat."""
    first = requests[0]
    if len(requests) == 1:
        return first
    places = {name: place for place, name in enumerate(first.instrument_names)}
    codes = []
    for request in requests:
        # Users of one market mostly name the same: comparing is a tenth of looking each up.
        if request.instrument_names == first.instrument_names:
            codes.append(request.instrument)
            continue
        known = [places.setdefault(name, len(places)) for name in request.instrument_names]
        # A code of -1 is a position without a name, and finds the last.
        codes.append(np.array([*known, -1], dtype=np.int32)[request.instrument])
    sizes = np.concatenate([np.diff(request.offsets) for request in requests])
    return replace(
        first,
        portfolio_ids=pa.concat_arrays([request.portfolio_ids for request in requests]),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        instrument=np.concatenate(codes),
        instrument_names=list(places),
        quantity=np.concatenate([request.quantity for request in requests]),
        cash=pa.concat_arrays([request.cash for request in requests]),
        nav=pa.concat_arrays([request.nav for request in requests]),
        tags=[tags for request in requests for tags in request.tags or [{}] * len(request)]
        if any(request.tags for request in requests)
        else (),
    )
