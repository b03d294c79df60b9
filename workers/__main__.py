"""`python -m workers`: one worker process, configured by RISK_TASKS_*."""

import os
import signal
import sys

from workers.kernels import unpack

if __name__ == "__main__":
    # Before Celery handles the signal, there is nothing to finish.
    # An exception would be lost in a callback of LLVM while kernels are loaded.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # Before Numba is imported, which reads its settings then.
    unpack(os.environ.get("NUMBA_CACHE_DIR"))
    from risk_tasks.roles.worker import run_worker
    from risk_tasks.settings import Settings

    sys.exit(run_worker(Settings.read()))
