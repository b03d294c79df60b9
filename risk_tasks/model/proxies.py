"""Returns of another instrument, or of a group of them, before the first price of a young one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from risk_tasks.errors import InvalidMarketError
from risk_tasks.model.market import FloatArray1D, FloatArray2D, MarketSnapshot
from risk_tasks.model.quality import DataFinding, FindingKind
from risk_tasks.model.values import require_mapping

#: the name of an instrument, or one tag with its value
Proxy = str | Mapping[str, str]


def with_proxies(market: MarketSnapshot, proxies: Mapping[str, Proxy]) -> MarketSnapshot:
    """Return `market` with returns of proxies where the instruments of `proxies` are too young.

    A proxy is an instrument, or a tag with a value, as {"sector": "technology"}: in each row, the
    mean of the returns that other instruments with this tag have. It gives the missing returns
    before the first return of the instrument, and no others. The findings of the market name each
    instrument with such returns.

    Raises `InvalidMarketError` for an unknown instrument or tag, for proxies that form a circle,
    and for a proxy whose returns do not start before those of the instrument.
    """
    require_mapping(proxies, "proxies", InvalidMarketError)
    if not proxies:
        return market
    filled = _Filled(market, proxies)
    findings = [finding for name in proxies if (finding := filled.fill(name)) is not None]
    return replace(market, returns=filled.returns, findings=(*market.findings, *findings))


class _Filled:
    """The returns of a market while they are filled, a proxy before those that need it."""

    def __init__(self, market: MarketSnapshot, proxies: Mapping[str, Proxy]) -> None:
        self.returns: FloatArray2D = market.returns.copy()
        self._market, self._proxies = market, proxies
        self._done: dict[str, DataFinding | None] = {}
        self._path: list[str] = []

    def fill(self, name: str) -> DataFinding | None:
        """Fill the returns of `name`; return what was done, None if nothing was missing."""
        if name in self._done:
            return self._done[name]
        field = f"proxies[{name!r}]"
        if name not in self._market.index:
            raise InvalidMarketError(
                f"{name!r} is not an instrument of the market.",
                field=field,
                remedy="Correct the name, or leave the proxy out.",
            )
        if name in self._path:
            circle = ", ".join([*self._path[self._path.index(name) :], name])
            raise InvalidMarketError(
                f"The proxies form a circle: {circle}.",
                field=field,
                remedy="Give one of them a proxy with a history of its own.",
            )
        self._path.append(name)
        self._done[name] = self._fill(name, field)
        self._path.pop()
        return self._done[name]

    def _fill(self, name: str, field: str) -> DataFinding | None:
        column = self.returns[:, self._market.index[name]]
        words, proxy = self._series(name, field)
        start = _first(column)
        if start == 0:
            return None
        if _first(proxy) >= start:
            raise InvalidMarketError(
                f"The returns of {words} start at {self._row(_first(proxy))}, those of {name} at "
                f"{self._row(start)}: the proxy is itself too young.",
                field=field,
                remedy="Give a proxy with an older history.",
            )
        column[:start] = proxy[:start]
        n_filled = int((~np.isnan(proxy[:start])).sum())
        until = f"until {self._row(start)}" if start < len(column) else "in all rows"
        return DataFinding(
            kind=FindingKind.PROXIED,
            instrument=name,
            detail=f"{words} {until}: {n_filled:,} of {len(column):,} returns",
        )

    def _series(self, name: str, field: str) -> tuple[str, FloatArray1D]:
        """Return the proxy of `name` in words, and its returns (T,)."""
        proxy = self._proxies[name]
        if isinstance(proxy, str):
            if proxy not in self._market.index:
                raise InvalidMarketError(
                    f"The proxy {proxy!r} is not an instrument of the market.",
                    field=field,
                    remedy="Correct the name, or add the prices of the proxy.",
                )
            if proxy in self._proxies or proxy == name:
                self.fill(proxy)
            return proxy, self.returns[:, self._market.index[proxy]]
        if not isinstance(proxy, Mapping) or len(proxy) != 1:
            raise InvalidMarketError(
                f"Not a proxy: {proxy!r}; expected an instrument, or one tag with its value.",
                field=field,
                remedy='Write it as "SPY" or {"sector": "technology"}.',
            )
        ((tag, value),) = proxy.items()
        members = [
            index
            for member, index in self._market.index.items()
            if member != name and self._market.tags.get(member, {}).get(tag) == value
        ]
        if not members:
            raise InvalidMarketError(
                f"No other instrument has the tag {tag}={value}.",
                field=field,
                remedy="Correct the tag, or give the tags of instruments with the prices.",
            )
        return f"mean of {len(members)} with {tag}={value}", _mean(self._market.returns, members)

    def _row(self, row: int) -> str:
        dates = self._market.dates
        if row >= len(self.returns):
            return "no row"
        return f"row {row}" if dates is None else str(dates[row])


def _first(series: FloatArray1D) -> int:
    """Return the index of the first return, the length of `series` if there is none."""
    present = ~np.isnan(series)
    return int(present.argmax()) if present.any() else len(series)


def _mean(returns: FloatArray2D, members: list[int]) -> FloatArray1D:
    """Return the mean return of `members` in each row, NaN where none has one."""
    total, count = np.zeros(len(returns)), np.zeros(len(returns))
    for member in members:
        present = ~np.isnan(returns[:, member])
        total[present] += returns[present, member]
        count += present
    mean: FloatArray1D = np.divide(total, count, out=np.full(len(returns), np.nan), where=count > 0)
    return mean
