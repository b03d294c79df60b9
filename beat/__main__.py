"""`python -m beat`: one scheduler process, set by RISK_TASKS_*."""

import sys

from risk_tasks.roles.scheduler import run_scheduler
from risk_tasks.settings import Settings

if __name__ == "__main__":
    sys.exit(run_scheduler(Settings.read()))
