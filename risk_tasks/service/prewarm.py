"""Prewarming: popular requests are computed on a new market before a caller needs them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable

import msgspec
import numpy as np

from risk_tasks.engine import MarketArrays
from risk_tasks.errors import RiskTasksError
from risk_tasks.log import log
from risk_tasks.model.measures import MeasureName, MeasureSettings, parse_measures
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.service.popularity import CostlyRequest
from risk_tasks.service.result_cache import ResultCache
from risk_tasks.service.validation import validate
from risk_tasks.store.prewarm import PopularityStore, PrewarmPolicy, PrewarmRun, PrewarmStore
from risk_tasks.store.published import MarketStore
from risk_tasks.wire.documents import read_settings
from risk_tasks.wire.request import Terms, pack_portfolios

#: a step occupies a worker about as long as a block does, so that live checks do not wait longer
STEP_S = 0.01
_REQUESTS_PER_TAKE = 8


def reason_to_run(
    last: PrewarmRun | None,
    market: MarketArrays,
    before: MarketArrays | None,
    policy: PrewarmPolicy,
    *,
    now_s: float,
    expires_s: float,
) -> str | None:
    """Return why popular requests must be computed now, or None.

    `before` is the market of the `last` run, None where it no longer exists. The results of the
    last run are about to expire after `expires_s`.
    """
    if last is None:
        return "first"
    if last.panel_id != market.panel_id:
        return "panel"
    if before is None or _largest_move(before, market) > policy.marks_bound:
        return "marks"
    return "expiry" if now_s - last.at_s >= expires_s else None


def _largest_move(before: MarketArrays, market: MarketArrays) -> float:
    """Return the largest relative move of a price; a move from 0 is infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = np.abs(market.prices / before.prices - 1)
    return float(np.where(market.prices == before.prices, 0.0, moves).max(initial=0.0))


class Prewarmer:
    """Plans a run when there is a reason, and works through it in short steps.

    Results live for `ttl_s`, and are computed again in the last quarter of that time.
    """

    def __init__(
        self,
        store: PrewarmStore,
        popular: PopularityStore,
        markets: MarketStore,
        market_of: Callable[[str], MarketArrays | None],
        results: ResultCache,
        *,
        ttl_s: float,
    ) -> None:
        self._store = store
        self._popular = popular
        self._markets = markets
        self._market_of = market_of
        self._results = results
        self._ttl_s = ttl_s

    def plan(self, policy: PrewarmPolicy) -> bool:
        """Start a run when there is a reason, at most once in each interval of `every_s`.

        Returns whether requests remain and no other worker computes them: the caller must then
        call `step`.
        """
        now_s = self._store.now_s()
        market = self._market(policy.market)
        if market and self._store.claim_slot(int(now_s // policy.every_s), policy.every_s):
            last = self._store.last()
            before = self._market_of(last.market_id) if last else None
            expires_s = 0.75 * self._ttl_s
            reason = reason_to_run(last, market, before, policy, now_s=now_s, expires_s=expires_s)
            if reason is not None:
                requests = self._popular.top(policy.n_requests)
                run = PrewarmRun(reason, now_s, market.id, market.panel_id, len(requests))
                self._store.start(run, [one.digest for one in requests])
                log.info("prewarm.planned", reason=reason, requests=len(requests), market=market.id)
        return bool(self._store.remaining(1)) and self._store.lock()

    def step(self, policy: PrewarmPolicy) -> bool:
        """Compute the next requests on the current market; return whether some remain."""
        self._store.renew_lock()
        market = self._market(policy.market)
        started = time.perf_counter()
        while market is not None and time.perf_counter() - started < STEP_S:
            digests = self._store.take(_REQUESTS_PER_TAKE)
            if not digests:
                self._store.unlock()
                return False
            spent_s = self._compute(self._popular.requests(digests), market)
            self._store.record(digests, self._store.now_s(), spent_s, self._ttl_s)
        return market is not None

    def _market(self, name: str) -> MarketArrays | None:
        market_id = self._markets.current().get(name)
        return self._market_of(market_id) if market_id else None

    def _compute(self, requests: Iterable[bytes], market: MarketArrays) -> float:
        """Compute the results that expire in the last quarter of their life; return the seconds.

        Skips requests that do not fit the market or cannot be decoded.
        """
        started = time.perf_counter()
        groups: dict[tuple[tuple[MeasureName, ...], MeasureSettings], list[Portfolio]]
        groups = defaultdict(list)
        for request in requests:
            try:
                costly = msgspec.json.decode(request, type=CostlyRequest)
                terms = parse_measures(costly.measures), read_settings(costly.settings)
                groups[terms].append(Portfolio("popular", costly.positions))
            except (msgspec.MsgspecError, RiskTasksError):
                continue
        for (names, settings), portfolios in groups.items():
            block, _ = validate(pack_portfolios(portfolios, Terms(names, settings)), market)
            self._results.refresh(block, market, names, settings, fresh_s=self._ttl_s / 4)
        return time.perf_counter() - started
