"""What `RiskClient` does with live portfolios."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

from risk_tasks.client.breach_stream import ChangeReader, Changes
from risk_tasks.client.connection import Link
from risk_tasks.client.lookup import Asked, read_asked
from risk_tasks.model.live import LiveReport
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.store.breaches import NOW


class LiveCalls(ABC):
    """Live portfolios: held by the system, checked whenever they or the market change."""

    url: str
    _closed: bool

    def set_portfolio(self, portfolio: Portfolio, *, event_id: str | None = None) -> int:
        """Hold `portfolio` in place of whatever is held under its id; returns its new version.

        Positions are kept to the last bit; those of 0 are not held. An `event_id` that was seen
        within a day for this portfolio changes nothing, and returns the version that it made then.
        Repeat a call that raised `TransportError` with the same one: it may have arrived.
        """
        return self._link().live.set(portfolio, event_id)

    def change_positions(
        self, portfolio_id: str, deltas: Mapping[str, float], *, event_id: str | None = None
    ) -> int:
        """Add `deltas`, units by instrument, to the positions in one step; returns the new version.

        Sums are those of float64 in the order of the calls; a position that becomes 0 is held no
        longer. `event_id` as for `set_portfolio`.

        Raises `UnknownPortfolioError`, and `InvalidPortfolioError` naming the delta that is no
        finite number or whose sum is none; then nothing is changed.
        """
        return self._link().live.change(portfolio_id, deltas, event_id)

    def get_portfolio(self, portfolio_id: str) -> Portfolio:
        """Return the portfolio as it is now, with its `version`; else `UnknownPortfolioError`."""
        return self._link().live.get(portfolio_id)

    def remove_portfolio(self, portfolio_id: str) -> int:
        """Hold the portfolio no longer; its limits that are not ok become so.

        Returns its last version; raises `UnknownPortfolioError`.
        """
        return self._link().live.remove(portfolio_id)

    def report(self, portfolio_id: str) -> LiveReport | None:
        """Return the latest report of a live portfolio, None where none was made yet.

        Raises `UnknownPortfolioError`.
        """
        return self._link().live.report(portfolio_id)

    def breaches(
        self,
        since: str = NOW,
        *,
        group: str | None = None,
        reader: str | None = None,
        within_s: float | None = None,
    ) -> Changes:
        """Return an iterator over changes of state of limits, in order, as they come.

        `since` is the id of a change, `"0"` for all that are kept, `"$"` for those after this
        call. It goes on over lost connections without losing or repeating any, until the client is
        closed (noticed within half a second), or nothing came for `within_s`.

        Readers of a `group` share its changes: each goes to one `reader`, and is ended when that
        asks for the next. What a reader had for a minute and did not end goes to another, so that
        one may come twice, with the same `event_id`. A new group begins after `since`.

        Raises `TransportError` where the server cannot be reached at the beginning, or when
        `within_s` is over; `ChangesTrimmedError` where changes that were asked for are gone.
        """
        self._link()
        source = ChangeReader(
            self.url, since, group=group, reader=reader, is_closed=lambda: self._closed
        )
        return Changes(source, within_s)

    def _asked(self, portfolios: Iterable[Portfolio | str], min_version: int | None) -> Asked:
        return read_asked(portfolios, min_version, self._held)

    def _held(self, portfolio_ids: Sequence[str]) -> Sequence[Portfolio | None]:
        return self._link().live.get_many(portfolio_ids)

    @abstractmethod
    def _link(self) -> Link:
        """Return the link of this process."""
