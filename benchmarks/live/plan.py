"""The size of the run: `QUICK` unless `--full` is on the command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes of the three parts; `n_users` divides `n_portfolios`."""

    n_portfolios: int
    #: changes per second, and seconds
    changes_per_s: float
    lasting_s: float
    #: changes in bursts, and changes of one portfolio in each burst
    n_in_bursts: int
    burst: int
    #: changes while workers are killed, changes per second, and how many are sent twice
    n_changes: int
    n_changes_per_s: float
    share_twice: float
    n_kills: int
    #: users while workers are killed, each in its own process; otherwise threads of one process
    n_users: int
    #: after this number of changes a user reports how many it has sent
    report_every: int = 100


QUICK = Plan(
    n_portfolios=5_000,
    changes_per_s=500.0,
    lasting_s=20.0,
    n_in_bursts=5_000,
    burst=50,
    n_changes=20_000,
    n_changes_per_s=500.0,
    share_twice=0.1,
    n_kills=3,
    n_users=4,
)
FULL = Plan(
    n_portfolios=5_000,
    changes_per_s=500.0,
    lasting_s=120.0,
    n_in_bursts=100_000,
    burst=50,
    n_changes=1_000_000,
    n_changes_per_s=4_000.0,
    share_twice=0.1,
    n_kills=3,
    n_users=4,
)
