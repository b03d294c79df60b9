"""Published markets and limit sets: a name points to the id of its current content.

The wire formats need Arrow, so the methods that encode or decode import them: the autoscaler only
reads names, and its container has no Arrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
import numpy as np
import redis

from risk_tasks.connection import Store, text
from risk_tasks.errors import InvalidMarketError, NoMarketError, UnknownLimitSetError
from risk_tasks.keys import (
    LIMIT_SETS_KEY,
    MARKETS_KEY,
    SUPERSEDED_MARKET_TTL_S,
    limits_key,
    market_key,
    panel_key,
)
from risk_tasks.model.limits import LimitSet
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.quality import DataFinding
from risk_tasks.model.screening import require_no_doubt, screened, with_new_prices
from risk_tasks.model.values import as_finite
from risk_tasks.scripts import Script


class MarketStore(Store):
    """Publishes and loads markets."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._publish = Script(
            *(client, "risk_tasks.store", "published", "market"), after=("live",), acknowledged=True
        )

    def publish(self, snapshot: MarketSnapshot, name: str, *, strict: bool = False) -> str:
        """Make `snapshot` the current market of `name`; returns its id.

        A check submitted after this returns uses this market or a later one. It is stored with what
        `screen` finds in it. Raises `DoubtfulMarketError` for a `strict` market with a doubt.
        """
        from risk_tasks.wire.market import encode_panel

        snapshot = screened(snapshot)
        if strict:
            require_no_doubt(snapshot)
        self._put(snapshot, name, encode_panel(snapshot))
        return snapshot.id

    def publish_prices(
        self, prices: Mapping[str, float], name: str, as_of: datetime, *, strict: bool = False
    ) -> str:
        """Publish the current market of `name` with new prices; returns its id.

        Raises `NoMarketError` if no market is published, `InvalidMarketError` unless `prices` has
        one finite price for each of its instruments, and `DoubtfulMarketError` for a `strict`
        market with a doubt.
        """
        from risk_tasks.wire.market import encode_panel

        market_id = self.current().get(name)
        current = self.load(market_id) if market_id else None
        if current is None:
            raise NoMarketError(f"No market {name!r} is published.", field="name")
        if not isinstance(prices, Mapping):
            raise InvalidMarketError(
                f"Not prices by instrument: {type(prices).__name__}; expected a mapping.",
                field="prices",
            )
        for instruments, others, word in (
            (prices, current.index, "are not in the market"),
            (current.instruments, prices, "are missing"),
        ):
            if wrong := [instrument for instrument in instruments if instrument not in others]:
                raise InvalidMarketError(
                    f"Prices {word}: {', '.join(wrong[:5])}.",
                    field="prices",
                    remedy="Give one price for each instrument of the market.",
                )
        marks = np.empty(len(current.instruments))
        for index, instrument in enumerate(current.instruments):
            mark = as_finite(prices[instrument])
            if mark is None:
                raise InvalidMarketError(
                    f"Not a finite number: {prices[instrument]!r}.",
                    field=f"prices[{instrument!r}]",
                )
            marks[index] = mark
        marked = screened(with_new_prices(current, marks, as_of=as_of))
        if strict:
            require_no_doubt(marked)
        if not self._put(marked, name, b""):
            self._put(marked, name, encode_panel(marked))
        return marked.id

    def current(self) -> dict[str, str]:
        """Return the id of the current market of each name."""
        names = self._client.hgetall(MARKETS_KEY)
        return {text(name): text(market_id) for name, market_id in names.items()}

    def load(self, market_id: str) -> MarketSnapshot | None:
        """Return the market of this id, or None; raises `DecodeError` for damaged content."""
        from risk_tasks.wire.market import decode_market

        marks, panel_id = self._client.hmget(market_key(market_id), "marks", "panel_id")
        if marks is None or panel_id is None:
            return None
        panel = self._client.get(panel_key(text(panel_id)))
        return None if panel is None else decode_market(marks, panel, market_id)

    def findings(self, market_id: str) -> tuple[DataFinding, ...]:
        """Return what was found in the data of the market of this id; empty if it is unknown."""
        from risk_tasks.wire.market import decode_findings

        marks = self._client.hget(market_key(market_id), "marks")
        return () if marks is None else decode_findings(marks)

    def _put(self, snapshot: MarketSnapshot, name: str, panel: bytes) -> bool:
        from risk_tasks.wire.market import encode_marks

        return bool(
            self._publish(
                keys=[market_key(snapshot.id), panel_key(snapshot.panel_id), MARKETS_KEY],
                args=[
                    snapshot.id,
                    name,
                    encode_marks(snapshot),
                    snapshot.panel_id,
                    panel,
                    SUPERSEDED_MARKET_TTL_S,
                ],
            )
        )


class LimitStore(Store):
    """Publishes and loads limit sets."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._publish = Script(
            *(client, "risk_tasks.store", "published", "limits"), after=("live",), acknowledged=True
        )

    def publish(self, limit_set: LimitSet, name: str) -> str:
        """Make `limit_set` the current one of `name`; returns its version.

        A check submitted after this returns uses this set or a later one.
        """
        from risk_tasks.wire.documents import limit_set_document

        document = msgspec.json.encode(limit_set_document(limit_set))
        self._publish(
            keys=[limits_key(limit_set.version), LIMIT_SETS_KEY],
            args=[limit_set.version, name, document],
        )
        return limit_set.version

    def current(self) -> dict[str, str]:
        """Return the version of the current limit set of each name."""
        names = self._client.hgetall(LIMIT_SETS_KEY)
        return {text(name): text(version) for name, version in names.items()}

    def load(self, version: str) -> LimitSet:
        """Return the limit set of this version.

        Raises `UnknownLimitSetError` for an unknown version, and `DecodeError` for damaged content.
        """
        document = self._client.get(limits_key(version))
        if document is None:
            raise UnknownLimitSetError(f"No limit set of version {version}.", field="limits")
        from risk_tasks.wire.documents import read_limit_set
        from risk_tasks.wire.framing import decoding

        with decoding("limit set"):
            return read_limit_set(msgspec.json.decode(document))
