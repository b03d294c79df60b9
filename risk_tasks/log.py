"""The logger of the processes that serve.

The client uses `logging.getLogger("risk_tasks")` instead, because a producer has no structlog.
"""

import structlog

log = structlog.get_logger("risk_tasks")
