"""Computing what is asked for most before it is asked for on a new market."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import structlog

from risk_tasks.engine import MarketArrays
from risk_tasks.store.prewarm import PopularityStore, PrewarmPolicy, PrewarmRun, PrewarmStore
from risk_tasks.store.published import MarketStore

log = structlog.get_logger("risk_tasks")

#: a step holds a worker about this long, as a block does, so that live checks are not kept waiting
STEP_S = 0.01
_PER_TAKE = 8


def reason_to_warm(
    last: PrewarmRun | None,
    market: MarketArrays,
    before: MarketArrays | None,
    policy: PrewarmPolicy,
    *,
    now_s: float,
    expires_s: float,
) -> str | None:
    """Return why the most wanted requests should be computed now, or None.

    `before` is the market of the `last` run, None where it is gone; after `expires_s` what it
    computed is about to expire.
    """
    if last is None:
        return "first"
    if last.panel_id != market.panel_id:
        return "panel"
    if before is None or _largest_move(before, market) > policy.marks_bound:
        return "marks"
    return "expiry" if now_s - last.at_s >= expires_s else None


def _largest_move(before: MarketArrays, market: MarketArrays) -> float:
    """Return how far any price moved, as a share; one that was 0 and is not moved for ever."""
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = np.abs(market.prices / before.prices - 1)
    return float(np.where(market.prices == before.prices, 0.0, moves).max(initial=0.0))


class Prewarmer:
    """Plans a run where there is a reason for one, and works it off in short steps.

    `warm` computes requests on a market and returns the seconds that it took. Results live
    `ttl_s`; they are computed again in the last quarter of it.
    """

    def __init__(
        self,
        store: PrewarmStore,
        popular: PopularityStore,
        markets: MarketStore,
        market_of: Callable[[str], MarketArrays | None],
        warm: Callable[[Sequence[bytes], MarketArrays], float],
        *,
        ttl_s: float,
    ) -> None:
        self._store = store
        self._popular = popular
        self._markets = markets
        self._market_of = market_of
        self._warm = warm
        self._ttl_s = ttl_s

    def plan(self, policy: PrewarmPolicy) -> str | None:
        """Begin a run where there is a reason, once in a slot of time; returns the reason."""
        now_s = self._store.now_s()
        if not self._store.claim(int(now_s // policy.every_s), policy.every_s):
            return None
        market = self._market(policy.market)
        if market is None:
            return None
        last = self._store.last()
        before = self._market_of(last.market_id) if last else None
        expires_s = 0.75 * self._ttl_s
        reason = reason_to_warm(last, market, before, policy, now_s=now_s, expires_s=expires_s)
        if reason is None:
            return None
        wanted = self._popular.top(policy.n_requests)
        run = PrewarmRun(reason, now_s, market.id, market.panel_id, len(wanted))
        self._store.begin(run, [one.digest for one in wanted])
        log.info("prewarm.planned", reason=reason, requests=len(wanted), market=market.id)
        return reason

    def step(self, policy: PrewarmPolicy) -> bool:
        """Warm the next few requests on the market in force; returns whether some are left."""
        self._store.keep_at_work()
        market = self._market(policy.market)
        began = time.perf_counter()
        while market is not None and time.perf_counter() - began < STEP_S:
            digests = self._store.take(_PER_TAKE)
            if not digests:
                self._store.end_work()
                return False
            spent_s = self._warm(self._popular.requests(digests), market)
            self._store.note(digests, self._store.now_s(), spent_s, self._ttl_s)
        return market is not None

    def is_to_begin(self) -> bool:
        """Whether something is left to do and nobody is doing it; then it is the caller's."""
        return bool(self._store.left(1)) and self._store.begin_work()

    def _market(self, name: str) -> MarketArrays | None:
        market_id = self._markets.current().get(name)
        return self._market_of(market_id) if market_id else None
