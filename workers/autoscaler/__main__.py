"""`python -m workers.autoscaler`: one autoscaler, configured by RISK_TASKS_*."""

import signal
import sys

if __name__ == "__main__":
    # Before the autoscaler handles the signal, there is nothing to finish.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from risk_tasks.errors import RiskTasksError
    from workers.autoscaler.autoscaler import run_autoscaler
    from workers.autoscaler.settings import AutoscalerSettings

    try:
        sys.exit(run_autoscaler(AutoscalerSettings.read()))
    except RiskTasksError as error:
        sys.exit(str(error))
