"""Live portfolios as both clients know them: what is given is looked at before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import redis

from risk_tasks.errors import InvalidPortfolioError, InvalidSettingsError
from risk_tasks.model.live import LiveReport
from risk_tasks.model.name import is_name
from risk_tasks.model.number import as_finite
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.store.reports import ReportStore
from risk_tasks.wire.arrow import decoding
from risk_tasks.wire.documents import read_report


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
        return self._portfolios.set(portfolio, require_event(event_id))

    def change(self, portfolio_id: str, deltas: Mapping[str, float], event_id: str | None) -> int:
        return self._portfolios.change(
            require_id(portfolio_id), require_deltas(deltas), require_event(event_id)
        )

    def get(self, portfolio_id: str) -> Portfolio:
        return self._portfolios.get(require_id(portfolio_id))

    def get_many(self, portfolio_ids: Sequence[str]) -> Sequence[Portfolio | None]:
        return self._portfolios.get_many(portfolio_ids)

    def remove(self, portfolio_id: str) -> int:
        return self._portfolios.remove(require_id(portfolio_id))

    def report(self, portfolio_id: str) -> LiveReport | None:
        held = self._reports.latest(require_id(portfolio_id))
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


def require_id(portfolio_id: str) -> str:
    """Return `portfolio_id`; raises `InvalidPortfolioError` for what is no id."""
    if not is_name(portfolio_id):
        raise InvalidPortfolioError(
            f"{portfolio_id!r} is not the id of a portfolio.", field="portfolio_id"
        )
    return portfolio_id


def require_event(event_id: str | None) -> str | None:
    """Return `event_id`; raises `InvalidSettingsError` for what is no id."""
    if event_id is not None and not is_name(event_id):
        raise InvalidSettingsError(
            f"{event_id!r} is not the id of an event.",
            field="event_id",
            remedy="Give a text that no other event of this portfolio has, or leave it out.",
        )
    return event_id


def require_deltas(deltas: Mapping[str, float]) -> dict[str, float]:
    """Return `deltas` as floats; raises `InvalidPortfolioError` naming the one that is not."""
    if not isinstance(deltas, Mapping) or not deltas:
        raise InvalidPortfolioError(
            "Nothing is changed.",
            field="deltas",
            remedy="Give what is added to the quantity of each instrument: {'AAPL': -100}.",
        )
    numbers = {}
    for instrument, delta in deltas.items():
        number = as_finite(delta)
        if not is_name(instrument):
            raise InvalidPortfolioError(
                "A name is a text that is not empty.", field=f"deltas[{instrument!r}]"
            )
        if number is None:
            raise InvalidPortfolioError(
                f"{delta!r} is not a finite number.", field=f"deltas[{instrument!r}]"
            )
        numbers[instrument] = number
    return numbers
