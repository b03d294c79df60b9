"""A listener: receives each change of a limit's state, and continues where it stopped.

    python examples/breach_listener.py [--group desk --reader desk-1] [--count N]

Readers of one group share the changes. The server remembers which changes a reader has finished:
a listener that restarts under its old name receives the unfinished ones again. A change may
therefore arrive twice; `event_id` is the same both times.
"""

from __future__ import annotations

import argparse
from itertools import islice

from risk_tasks import RiskClient


def listen(group: str, reader: str, count: int | None) -> None:
    seen: set[str] = set()
    with RiskClient.from_env() as risk:
        for change in islice(risk.breaches(since="0", group=group, reader=reader), count):
            if change.event_id in seen:
                continue
            seen.add(change.event_id)
            standing = change.standing
            print(
                f"{change.portfolio_id} version {change.version}: "
                f"{standing.limit} {change.before} -> {standing.state} "
                f"({standing.observed} against {standing.threshold})",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--group", default="listeners")
    parser.add_argument("--reader", default="listener-1")
    parser.add_argument("--count", type=int, help="stop after this many changes")
    arguments = parser.parse_args()
    listen(arguments.group, arguments.reader, arguments.count)
