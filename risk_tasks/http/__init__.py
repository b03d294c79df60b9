"""The HTTP gateway: routes by resource over `AsyncRiskClient`; no Celery, no Numba.

Needs the extra `http`.
"""

from risk_tasks.http.application import Application, Gateway, create_application
from risk_tasks.http.bodies import BodyBounds
from risk_tasks.http.tokens import read_tokens, require_safe

__all__ = [
    "Application",
    "BodyBounds",
    "Gateway",
    "create_application",
    "read_tokens",
    "require_safe",
]
