"""The HTTP gateway: operations on checks, markets, limits, portfolios and breaches.

Built on `AsyncRiskClient`; imports neither Celery nor Numba. Needs the extra `http`.
"""

from risk_tasks.http.application import create_application
from risk_tasks.http.authentication import read_tokens, require_safe
from risk_tasks.http.bodies import BodyBounds
from risk_tasks.http.gateway import Gateway

__all__ = ["BodyBounds", "Gateway", "create_application", "read_tokens", "require_safe"]
