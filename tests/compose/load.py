"""Runs in a container of the stack: sends checks, compares each answer with the first, and counts.

    load.py --seconds 30 --checks 50 --calls-per-s 20 --deadline-s 10

Stops after the given seconds, or at SIGTERM, and prints one JSON document. A call is answered
within its deadline, wrong, late or failed. A late check is not lost, since its caller got an error.
Lost are the checks that the ledger still holds at the end.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import threading
import time
from collections.abc import Callable

import pyarrow as pa
import redis

from risk_tasks import Portfolio, RiskClient, read_limits, read_market, sample
from risk_tasks.errors import ReportTimeoutError, RiskTasksError
from risk_tasks.settings import Settings

_SETTLES_WITHIN_S = 45.0
_STARTS_WITHIN_S = 60.0


class Tally:
    """The outcomes of the calls; all sending threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts = dict.fromkeys(("sent", "answered", "late", "failed", "wrong"), 0)
        self.took_ms: list[float] = []
        self.faults: list[str] = []

    def add(self, outcome: str, n_checks: int, took_s: float, fault: str = "") -> None:
        with self._lock:
            self.counts["sent"] += n_checks
            self.counts[outcome] += n_checks
            self.took_ms.append(took_s * 1e3)
            if fault and len(self.faults) < 5:
                self.faults.append(fault)


def books(n: int, instruments: list[str]) -> list[Portfolio]:
    chance = random.Random(5)
    return [
        Portfolio(
            f"book-{number}",
            {name: chance.uniform(-9e3, 9e3) for name in chance.sample(instruments, 10)},
            nav=5e6,
        )
        for number in range(n)
    ]


def numbers(reports: object) -> str:
    """Return every number of `reports`, in the order of the request, as comparable text."""
    return repr([(r.portfolio_id, r.status, sorted(r.measures.items())) for r in reports])


def asker(risk: RiskClient, book: list[Portfolio], tables: bool) -> Callable[[float], object]:
    """Return a function that checks `book` within a timeout and returns a comparable answer.

    Tables cost this process very little, so that the workers are busy and not this process.
    """
    if not tables:
        return lambda deadline_s: numbers(risk.check_many(book, timeout_s=deadline_s))
    rows = [(one.id, *held) for one in book for held in one.positions.items()]
    ids, instruments, quantities = zip(*rows, strict=True)
    held = {"portfolio_id": ids, "instrument": instruments, "quantity": quantities}
    positions = pa.table({name: list(column) for name, column in held.items()})
    return lambda deadline_s: risk.check_table(positions, timeout_s=deadline_s)


def send(ask: Callable[[float], object], right: object, tally: Tally, given: object) -> None:
    """Make calls sequentially at the given rate until the time is over."""
    chance = random.Random(threading.get_ident())
    pause_s = given.threads / given.calls_per_s
    due_at = time.monotonic() + chance.uniform(0, pause_s)
    while due_at < given.until and not given.stopped.wait(max(0.0, due_at - time.monotonic())):
        due_at = max(due_at + pause_s, time.monotonic())
        started = time.monotonic()
        try:
            answer = ask(given.deadline_s)
            outcome, fault = "answered", ""
            if answer != right:
                outcome, fault = "wrong", str(answer)[:300]
        except ReportTimeoutError as error:
            outcome, fault = "late", str(error)
        except RiskTasksError as error:
            outcome, fault = "failed", str(error)
        tally.add(outcome, given.checks, time.monotonic() - started, fault)


def await_server(client: redis.Redis) -> None:
    """Wait until the server of a stack that is still starting answers."""
    give_up_at = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.1)
        else:
            return


def settled(client: redis.Redis) -> int:
    """Wait until the ledger is empty, and return the number of checks that it still holds."""
    give_up_at = time.monotonic() + _SETTLES_WITHIN_S
    while client.zcard("risk:ledger") and time.monotonic() < give_up_at:
        time.sleep(0.2)
    keys = [f"risk:lane:{lane}" for lane in ("critical", "normal", "batch")]
    return sum(int(client.hget(key, "checks") or 0) for key in keys)


def main() -> None:
    """Publish the sample, get the right answers, send the load, and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--checks", type=int, default=50)
    parser.add_argument("--calls-per-s", type=float, default=20.0)
    parser.add_argument("--deadline-s", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=6)
    parser.add_argument("--tables", type=bool, default=False)
    given = parser.parse_args()
    url = Settings.read().broker_url.get_secret_value()
    market = read_market(sample.PRICES)
    tally = Tally()
    with RiskClient(url, timeout_s=60) as risk, redis.Redis.from_url(url) as client:
        await_server(client)
        risk.publish_market(market)
        risk.publish_limits(read_limits(sample.LIMITS))
        book = books(given.checks, list(market.instruments))
        ask = asker(risk, book, given.tables)
        right = ask(_STARTS_WITHIN_S)
        first_answer_at = time.time()
        before = {k.decode(): int(v) for k, v in client.hgetall("risk:counters").items()}
        given.stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: given.stopped.set())
        given.until = time.monotonic() + given.seconds
        senders = [
            threading.Thread(target=send, args=(ask, right, tally, given))
            for _ in range(given.threads if given.seconds else 0)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        lost = settled(client)
        after = {k.decode(): int(v) for k, v in client.hgetall("risk:counters").items()}
    grown = {name: after[name] - before.get(name, 0) for name in after}
    quantiles = statistics.quantiles(tally.took_ms, n=100) if len(tally.took_ms) > 1 else [0] * 99
    document = {
        "first_answer_at": first_answer_at,
        **tally.counts,
        "lost": lost,
        "p50_ms": round(quantiles[49], 1),
        "p99_ms": round(quantiles[98], 1),
        "max_ms": round(max(tally.took_ms, default=0), 1),
        "counters": {name: count for name, count in grown.items() if count},
        "faults": tally.faults,
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
