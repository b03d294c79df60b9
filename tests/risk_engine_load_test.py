"""What users wait for under load, and whether every target is kept: docs/performance.md.

    python tests/risk_engine_load_test.py --max-requests-per-user 5000 --concurrent-users 10 \
        --target-response-time 100ms --validate-optimizations --report load.html

A script and no test: pytest does not collect it.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Run by its path, it finds its folder and not the repository's packages.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from benchmarks.load.command import main

    main()
