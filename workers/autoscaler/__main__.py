"""`python -m workers.autoscaler`: one autoscaler, set by RISK_TASKS_*."""

import sys

from risk_tasks.errors import RiskTasksError
from workers.autoscaler.role import run_autoscaler
from workers.autoscaler.settings import AutoscalerSettings

if __name__ == "__main__":
    try:
        sys.exit(run_autoscaler(AutoscalerSettings.read()))
    except RiskTasksError as error:
        sys.exit(str(error))
