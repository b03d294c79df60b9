"""Live portfolios as both clients know them: what is given is looked at before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import redis

from risk_tasks.errors import InvalidPortfolioError
from risk_tasks.model.live import LiveReport
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.store.reports import ReportStore
from risk_tasks.wire.documents import read_report
from risk_tasks.wire.framing import decoding
from risk_tasks.wire.live import read_deltas, read_event_id, read_portfolio_id


class LiveDoor:
    """Sets, changes and reads live portfolios over the connections of one process."""

    def __init__(self, client: redis.Redis) -> None:
        self._portfolios = PortfolioStore(client)
        self._reports = ReportStore(client)

    def set(self, portfolio: Portfolio, event_id: str | None) -> int:
        if not isinstance(portfolio, Portfolio):
            raise InvalidPortfolioError(
                f"{type(portfolio).__name__} is not a Portfolio.", field="portfolio"
            )
        return self._portfolios.set(portfolio, _event(event_id))

    def change(self, portfolio_id: str, deltas: Mapping[str, float], event_id: str | None) -> int:
        return self._portfolios.change(
            read_portfolio_id(portfolio_id), read_deltas(deltas), _event(event_id)
        )

    def get(self, portfolio_id: str) -> Portfolio:
        return self._portfolios.get(read_portfolio_id(portfolio_id))

    def get_many(self, portfolio_ids: Sequence[str]) -> Sequence[Portfolio | None]:
        return self._portfolios.get_many(portfolio_ids)

    def remove(self, portfolio_id: str) -> int:
        return self._portfolios.remove(read_portfolio_id(portfolio_id))

    def report(self, portfolio_id: str) -> LiveReport | None:
        held = self._reports.latest(read_portfolio_id(portfolio_id))
        if held is None:
            return None
        with decoding("report"):
            report = read_report(msgspec.json.decode(held.document))
        return LiveReport(
            report=report,
            version=held.version,
            current_version=held.current_version,
            age_s=held.age_s,
        )


def _event(event_id: str | None) -> str | None:
    return None if event_id is None else read_event_id(event_id, "")
