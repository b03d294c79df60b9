"""The logger of the library."""

import structlog

log = structlog.get_logger("risk_tasks")
