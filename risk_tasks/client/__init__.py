"""The client: one core without input and output, in thin shells. No numba, no Celery app."""

from risk_tasks.client.asynchronous import AsyncRiskClient
from risk_tasks.client.blocking import RiskClient

__all__ = ["AsyncRiskClient", "RiskClient"]
