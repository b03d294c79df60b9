"""Live portfolios under load: latency, computations per change, and exactness under kills.

The exactness run sends a million changes while workers are killed.
"""

from benchmarks.live.run import run, run_exactness

__all__ = ["run", "run_exactness"]
