"""What `AsyncRiskClient` does with live portfolios."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from risk_tasks.client.blocking import RiskClient
from risk_tasks.client.breach_stream import AsyncChanges, ChangeReader
from risk_tasks.client.lookup import read_asked
from risk_tasks.model.live import LiveReport
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.store.breaches import NOW

Result = TypeVar("Result")


def _nothing(portfolio_ids: Sequence[str]) -> Sequence[Portfolio | None]:
    return [None] * len(portfolio_ids)


class AsyncLiveCalls(ABC):
    """Live portfolios: as in `LiveCalls`, awaitable."""

    _blocking: RiskClient
    _closed: bool

    async def set_portfolio(self, portfolio: Portfolio, *, event_id: str | None = None) -> int:
        """Hold `portfolio`, as `RiskClient.set_portfolio` does; returns its new version."""
        return await self._call(self._blocking.set_portfolio, portfolio, event_id=event_id)

    async def change_positions(
        self, portfolio_id: str, deltas: Mapping[str, float], *, event_id: str | None = None
    ) -> int:
        """Add `deltas` to the positions, as `RiskClient.change_positions` does.

        Calls that are awaited together may arrive in any order.
        """
        return await self._call(
            self._blocking.change_positions, portfolio_id, deltas, event_id=event_id
        )

    async def get_portfolio(self, portfolio_id: str) -> Portfolio:
        """Return the portfolio as it is now, with its `version`; else `UnknownPortfolioError`."""
        return await self._call(self._blocking.get_portfolio, portfolio_id)

    async def remove_portfolio(self, portfolio_id: str) -> int:
        """Hold the portfolio no longer; returns its last version."""
        return await self._call(self._blocking.remove_portfolio, portfolio_id)

    async def report(self, portfolio_id: str) -> LiveReport | None:
        """Return the latest report of a live portfolio, None where none was made yet."""
        return await self._call(self._blocking.report, portfolio_id)

    def breaches(
        self,
        since: str = NOW,
        *,
        group: str | None = None,
        reader: str | None = None,
        within_s: float | None = None,
    ) -> AsyncChanges:
        """Return an async iterator over changes of state, as `RiskClient.breaches` does.

        A wait that is cancelled loses nothing: what it would have had comes with the next. That the
        server cannot be reached is raised by the first wait.
        """
        self._require_open()
        source = ChangeReader(
            self._blocking.url, since, group=group, reader=reader, is_closed=lambda: self._closed
        )
        return AsyncChanges(source, within_s)

    async def _one(self, portfolio: Portfolio | str, min_version: int | None) -> Portfolio:
        """Return what one check asks for, from the server where it is an id."""
        if isinstance(portfolio, str):
            look_up = self._blocking._asked  # noqa: SLF001 - two shells of one client
            asked = await self._call(look_up, (portfolio,), min_version)
        else:
            asked = read_asked((portfolio,), min_version, _nothing)
        return asked.require_all()[0]

    @abstractmethod
    async def _call(self, function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Return what `function` does in a thread of the client's."""

    @abstractmethod
    def _require_open(self) -> None:
        """Raise `TransportError` where the client is closed."""
