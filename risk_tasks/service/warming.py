"""Costly results computed before they are asked for."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from risk_tasks.engine import MarketArrays
from risk_tasks.errors import RiskTasksError
from risk_tasks.model.measures import MeasureName, MeasureSettings, parse_measures
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.service.demand import CostlyRequest
from risk_tasks.service.result_cache import ResultCache
from risk_tasks.service.validation import validate
from risk_tasks.wire.documents import read_settings
from risk_tasks.wire.request import Terms, pack_portfolios


def warm(
    results: ResultCache, requests: Iterable[bytes], market: MarketArrays, *, fresh_s: float
) -> float:
    """Compute what of `requests` is not known for another `fresh_s` seconds on `market`.

    Returns the seconds that it took. A request that does not fit the market, or that nobody can
    read any more, is passed over.
    """
    started = time.perf_counter()
    groups: dict[tuple[tuple[MeasureName, ...], MeasureSettings], list[Portfolio]]
    groups = defaultdict(list)
    for request in requests:
        try:
            asked = msgspec.json.decode(request, type=CostlyRequest)
            terms = parse_measures(asked.measures), read_settings(asked.settings)
            groups[terms].append(Portfolio("popular", asked.positions))
        except (msgspec.MsgspecError, RiskTasksError):
            continue
    for (names, settings), portfolios in groups.items():
        block, _ = validate(pack_portfolios(portfolios, Terms(names, settings)), market)
        results.refresh(block, market, names, settings, fresh_s=fresh_s)
    return time.perf_counter() - started
