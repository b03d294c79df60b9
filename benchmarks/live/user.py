"""A user that changes its own portfolios, in its own process.

`python -m benchmarks.live.user URL NUMBER PLAN` waits for a line of input, prints how many changes
it has sent, and at the end prints the expected state of its portfolios as JSON.
"""

from __future__ import annotations

import random
import sys

import msgspec

from benchmarks.live.books import Book, Done, some_deltas
from benchmarks.live.plan import Plan
from benchmarks.live.system import name_of
from benchmarks.load.driving import Schedule
from risk_tasks.client import RiskClient

#: coprime to the number of portfolios of a user, so that it reaches all of them
_STRIDE = 7


def main(url: str, number: str, plan: str) -> None:
    with RiskClient(url, timeout_s=30) as risk:
        done = _change(risk, int(number), msgspec.json.decode(plan, type=Plan))
    _say(done)


def _change(risk: RiskClient, number: int, plan: Plan) -> Done:
    names = [name_of(index) for index in range(number, plan.n_portfolios, plan.n_users)]
    done = Done(0, 0, {name: Book() for name in names})
    dice = random.Random(number)
    _say("ready")
    sys.stdin.readline()
    schedule = Schedule.soon(1 / plan.n_changes_per_s)
    for change in range(number, plan.n_changes, plan.n_users):
        name, deltas = names[done.n_changes * _STRIDE % len(names)], some_deltas(dice)
        schedule.await_due(change)
        version = risk.change_positions(name, deltas, event_id=f"e{change}")
        if dice.random() < plan.share_twice:
            done.n_twice += 1
            if risk.change_positions(name, deltas, event_id=f"e{change}") != version:
                sys.exit(f"Event e{change} of {name} made two versions.")
        done.books[name].change(deltas)
        done.n_changes += 1
        if done.n_changes % plan.report_every == 0:
            _say(done.n_changes)
    return done


def _say(what: object) -> None:
    print(msgspec.json.encode(what).decode(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
