"""The running system of the integration tests, for the load test against a system that is there."""

from tests.integration.conftest import abandoned, fleet, fleet_server, market, risk

__all__ = ["abandoned", "fleet", "fleet_server", "market", "risk"]
