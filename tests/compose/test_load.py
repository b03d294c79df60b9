"""Workers are added, removed, restarted and killed under load: no check is lost."""

from __future__ import annotations

import random
import time
from typing import Any

from tests.compose.stack import Stack, docker, eventually, jain

#: from the start of a container to its first call
_LOAD_STARTS_WITHIN_S = 60
#: a load ends after this time where the test does not stop it
_LONGEST_S = 300
STEADY = {"checks": 50, "calls_per_s": 25, "deadline_s": 10, "threads": 8}


def await_load(stack: Stack, since: float) -> None:
    """Wait until the workers have finished more than 20 blocks of the load."""
    eventually(
        lambda: sum(len(one.events("block.finished", since=since)) for one in stack.workers()) > 20,
        _LOAD_STARTS_WITHIN_S,
        "a load",
    )


def unharmed(verdict: dict[str, Any]) -> dict[str, int]:
    """Return the counts that must be 0 where workers stop gracefully.

    An answer that comes twice, or in another order, is wrong. A block may be computed twice: on a
    busy processor it is requeued two seconds after it was fetched.
    """
    return {name: verdict[name] for name in ("lost", "wrong", "failed", "late")}


NOTHING = {"lost": 0, "wrong": 0, "failed": 0, "late": 0}


def test_scaling_up_and_down_under_load_loses_nothing(stack, full, figures):
    """One worker, three, one: each computes its share, and each that stops exits with 0."""
    stack.scale(1)
    stack.await_ready(1)
    watched_s = 30 if full else 12
    started = time.time()
    with stack.load(seconds=_LONGEST_S, **STEADY) as load:
        await_load(stack, started)
        stack.scale(3)
        workers = stack.await_ready(3)
        since = time.time()
        time.sleep(watched_s)
        shares = [len(one.events("block.finished", since, since + watched_s)) for one in workers]
        stack.scale(1)
        time.sleep(2)
        verdict = load.ended()

    ended = stack.deaths(started, "worker")
    fairness = jain(shares)
    figures(
        scaling={**verdict, "shares": shares, "jain": round(fairness, 3), "exit_codes": ended},
    )
    assert unharmed(verdict) == NOTHING
    assert verdict["answered"] == verdict["sent"] > 0
    assert fairness >= 0.9
    assert [code for _, code in ended] == [0, 0]


def test_a_rolling_restart_under_load_loses_nothing(stack, full, figures):
    """Each worker in turn is stopped as by `docker stop`, drains, and is started again."""
    stack.scale(2)
    stack.await_ready(2)
    started = time.time()
    rounds = 3 if full else 1
    with stack.load(seconds=_LONGEST_S, **STEADY) as load:
        await_load(stack, started)
        for worker in stack.workers() * rounds:
            docker("restart", "--time", "30", worker.id)
            stack.await_ready(2)
        verdict = load.ended()

    ended = stack.deaths(started, "worker")
    drained = [
        stopped - draining
        for one in stack.workers()
        for draining, stopped in zip(
            one.events("worker.draining", since=started),
            one.events("worker.stopped", since=started),
            strict=True,
        )
    ]
    figures(rolling={**verdict, "exit_codes": ended, "drain_s": [round(s, 2) for s in drained]})
    assert unharmed(verdict) == NOTHING
    assert [code for _, code in ended] == [0] * 2 * rounds
    assert max(drained) < 25


def test_killed_workers_lose_nothing(stack, full, figures):
    """One of three is killed every five seconds and started again at once."""
    stack.scale(3)
    stack.await_ready(3)
    chance, started = random.Random(11), time.time()
    n_kills = 12 if full else 6
    with stack.load(seconds=_LONGEST_S, **STEADY) as load:
        await_load(stack, started)
        for _ in range(n_kills):
            killed_at = time.monotonic()
            victim = chance.choice(stack.workers())
            docker("kill", "--signal", "KILL", victim.id)
            docker("start", victim.id)
            time.sleep(max(0.0, 5 - (time.monotonic() - killed_at)))
        verdict = load.ended()

    within = verdict["answered"] / verdict["sent"]
    figures(kills={**verdict, "n_kills": n_kills, "within_deadline": round(within, 6)})
    assert verdict["lost"] == verdict["wrong"] == 0
    assert within >= 0.999
    assert "dead" not in verdict["counters"]
    assert [code for _, code in stack.deaths(started, "worker")].count(137) == n_kills
