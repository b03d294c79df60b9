"""`python -m beat`: one scheduler, set by RISK_TASKS_* and by the schedule beside this file."""

import sys
from pathlib import Path

from risk_tasks.roles.schedule import read_schedule
from risk_tasks.roles.scheduler import run_scheduler
from risk_tasks.settings import Settings

if __name__ == "__main__":
    schedule = read_schedule(Path(__file__).with_name("schedule.toml"))
    sys.exit(run_scheduler(Settings.read(), schedule=schedule))
