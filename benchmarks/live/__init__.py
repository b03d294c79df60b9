"""Live portfolios under load: how soon a change is told, how few computations it takes, and what
is left of a million changes when workers are killed.
"""

from benchmarks.live.run import run, run_exactness

__all__ = ["run", "run_exactness"]
