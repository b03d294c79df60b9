"""`python -m beat`: one scheduler process, set by RISK_TASKS_*."""

import signal
import sys

if __name__ == "__main__":
    # Until Celery takes the signal over there is nothing to finish.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from risk_tasks.roles.scheduler import run_scheduler
    from risk_tasks.settings import Settings

    sys.exit(run_scheduler(Settings.read()))
