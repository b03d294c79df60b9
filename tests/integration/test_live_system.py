"""Live portfolios from the client through scheduler and worker and back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from risk_tasks import AsyncRiskClient, Limit, LimitSet, Portfolio, RiskClient
from risk_tasks.embedding import Fleet, FleetPlan, running_fleet
from tests.integration.support import only_json, unique, untimed, wait_until

pytestmark = pytest.mark.integration

LIMITS = LimitSet("live", [Limit("gross_exposure", hard=1_000_000.0, id="gross")])


@pytest.fixture(scope="module")
def live_fleet(market) -> Iterator[Fleet]:
    """A fleet of its own, because live portfolios use the default limits."""
    with running_fleet(FleetPlan(n_workers=1, scheduler=True, log_level="info")) as fleet:
        with RiskClient(fleet.url) as risk:
            risk.publish_market(market)
            risk.publish_limits(LIMITS)
        yield fleet


def test_a_change_that_breaks_a_limit_is_reported(live_fleet, clients, call):
    """In the stream, in the latest report and by a check; so is the end of the breach."""
    risk, name = clients(live_fleet.url, timeout_s=20), unique("live")
    risk.set_portfolio(Portfolio(name, {"AAPL": 1.0}))
    changes = risk.breaches(idle_timeout_s=30)

    broken = risk.change_positions(name, {"AAPL": 1e6})
    change = next(changes)
    assert (change.portfolio_id, change.version) == (name, broken)
    assert (change.before, change.standing.state, change.standing.limit) == ("ok", "hard", "gross")
    assert change.standing.observed > change.standing.threshold == 1_000_000.0
    latest = risk.report(name)
    assert latest.version == latest.current_version == broken
    assert untimed([latest.report]) == untimed([risk.check(name, min_version=broken)])

    healed = risk.change_positions(name, {"AAPL": -1e6})
    change = next(changes)
    assert (change.version, change.before, change.standing.state) == (healed, "hard", "ok")

    watched = call(
        "watch", "--since", "0", "--idle-timeout-s", "0", "--json", "--broker-url", live_fleet.url
    )
    assert watched.stdout.count(name) >= 2
    assert only_json(call("report", name, "--json", "--broker-url", live_fleet.url))["version"]


def test_a_new_limit_set_changes_states(live_fleet, clients):
    """Without a change of the portfolio."""
    risk, name = clients(live_fleet.url, timeout_s=20), unique("live")
    risk.set_portfolio(Portfolio(name, {"AAPL": 10.0}))
    wait_until(lambda: risk.report(name), 30)

    async def work():
        async with AsyncRiskClient(live_fleet.url) as client:
            changes = client.breaches("0", idle_timeout_s=30)
            strict = LimitSet("live", [Limit("gross_exposure", hard=1.0, id="strict")])
            await client.publish_limits(strict)
            async for change in changes:
                if change.portfolio_id == name:
                    return change
            return None

    change = asyncio.run(work())
    risk.publish_limits(LIMITS)

    assert (change.version, change.standing.limit, change.standing.state) == (1, "strict", "hard")
