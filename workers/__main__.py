"""`python -m workers`: one worker process, set by RISK_TASKS_*."""

import os
import sys

from workers.kernels import unpack

if __name__ == "__main__":
    # Before Numba is imported, which reads its settings then.
    unpack(os.environ.get("NUMBA_CACHE_DIR"))
    from risk_tasks.roles.worker import run_worker
    from risk_tasks.settings import Settings

    sys.exit(run_worker(Settings.read()))
