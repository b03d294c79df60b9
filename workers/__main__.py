"""`python -m workers`: one worker process, set by RISK_TASKS_*."""

import sys

from risk_tasks.roles.worker import run_worker
from risk_tasks.settings import Settings

if __name__ == "__main__":
    sys.exit(run_worker(Settings.read()))
