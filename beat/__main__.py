"""`python -m beat`: one scheduler, configured by RISK_TASKS_* and by schedule.toml beside it."""

import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    # Before Celery handles the signal, there is nothing to finish.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from risk_tasks.roles.scheduler import read_schedule, run_scheduler
    from risk_tasks.settings import Settings

    schedule = read_schedule(Path(__file__).with_name("schedule.toml"))
    sys.exit(run_scheduler(Settings.read(), schedule=schedule))
