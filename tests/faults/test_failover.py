"""The primary dies, stands still, or is cut off: nothing that was accepted is lost."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

import pytest

from risk_tasks import RiskClient
from risk_tasks.client.blocking import Handle
from risk_tasks.errors import RiskTasksError, TransportError
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from tests.faults.oracle import Oracle
from tests.faults.system import System, running_system, seconds
from tests.integration.replica_set import (
    DOWN_AFTER_S,
    Member,
    isolated,
    killed,
    paused,
    replica_set,
    split,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3_600)]

BACK_WITHIN_S = 5.0
#: of `BACK_WITHIN_S`: how long one attempt of the probe lasts
PROBE_S = 1.0
LIVE = "live"


class FailoverLoad:
    """Submits checks, changes a live portfolio and publishes limit sets, each in its thread.

    `changes` counts what was acknowledged, `older` the checks on a limit set from before the last
    publication that had returned.
    """

    def __init__(self, system: System, portfolios: list[Portfolio], replicas: int) -> None:
        self.accepted: list[Handle] = []
        self.refused: Counter[str] = Counter()
        self.older: list[str] = []
        self.changes = 0
        self._system, self._portfolios = system, portfolios
        self._risk = RiskClient(system.server.url, timeout_s=2, replicas_required=replicas)
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=work) for work in (self._submit, self._change, self._publish)
        ]

    def __enter__(self) -> Self:
        self._repeat(lambda: self._risk.set_portfolio(Portfolio(LIVE, {"AAPL": 1.0})))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._risk.close()

    def misapplied_changes(self) -> float:
        """Return how many changes are in the portfolio beyond the acknowledged ones."""
        held = self._system.risk.get_portfolio(LIVE).positions["AAPL"]
        return held - 1.0 - self.changes

    def _submit(self) -> None:
        while not self._stopped.wait(0.02):
            try:
                handle = self._risk.submit(self._portfolios, timeout_s=60)
            except TransportError as error:
                self.refused[error.code] += 1
            else:
                self.accepted.append(handle)

    def _change(self) -> None:
        while not self._stopped.wait(0.02):
            event_id = uuid.uuid4().hex
            self._repeat(
                lambda one=event_id: self._risk.change_positions(LIVE, {"AAPL": 1.0}, event_id=one)
            )
            self.changes += 1

    def _publish(self) -> None:
        """Publish numbered limit sets; a check that is sent later must not use an earlier one."""
        numbers: dict[str, int] = {}
        for number in itertools.count():
            if self._stopped.wait(0.1):
                return
            limits = LimitSet("numbered", [Limit("gross_leverage", hard=1e9 + number)])
            numbers[limits.version] = number
            self._repeat(lambda one=limits: self._risk.publish_limits(one, "numbered"))
            try:
                report = self._risk.check(self._portfolios[0], limits="numbered")
            except TransportError as error:
                self.refused[error.code] += 1
                continue
            if numbers[report.limits_version] < number:
                self.older.append(f"{numbers[report.limits_version]} < {number}")

    def _repeat(self, call: Callable[[], object]) -> None:
        """Repeat a call with its id until it is acknowledged."""
        while True:
            try:
                call()
            except TransportError as error:
                self.refused[error.code] += 1
            else:
                return


Fault = Callable[[Member], AbstractContextManager[None]]
FAULTS: list[Fault] = [killed, paused, split, isolated]


@pytest.mark.full_size
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_failover_loses_nothing_that_was_accepted(
    fault: Fault,
    oracle: Oracle,
    market: MarketSnapshot,
    portfolios: list[Portfolio],
    tmp_path: Path,
    sized: Callable[[int, int], int],
    figures: Callable[..., None],
) -> None:
    """The old primary comes back each time, and follows the new one."""
    book, recoveries, elections = portfolios[:20], [], []
    with (
        replica_set(tmp_path / "set", partitioned=fault in (split, isolated)) as servers,
        running_system(tmp_path, n_workers=1, servers=servers, replicas_required=1) as system,
    ):
        system.risk.publish_market(market)
        pids = {name: role.pid for name, role in system.roles.items()}
        with FailoverLoad(system, book, replicas=1) as load:
            for _ in range(sized(1, 20)):
                time.sleep(1)
                old = servers.primary()
                with fault(old):
                    failed = time.monotonic()
                    servers.await_promotion(old)
                    elections.append(max(0.0, seconds(failed) - DOWN_AFTER_S))
                    await_service(system, book[0])
                    recoveries.append(seconds(failed))
                servers.await_whole()
                judge(system, oracle, load, book)
                record(figures, oracle, load, elections, recoveries)
        judge(system, oracle, load, book)
        record(figures, oracle, load, elections, recoveries)
        misapplied = load.misapplied_changes()
        alive = {name: role.pid for name, role in system.roles.items() if role.is_alive}

    late = [
        recovery - DOWN_AFTER_S - election
        for recovery, election in zip(recoveries, elections, strict=True)
    ]
    assert oracle.lost == []
    assert oracle.wrong == []
    assert misapplied == 0
    assert load.older == []
    assert alive == pids
    assert max(late) <= BACK_WITHIN_S


def await_service(system: System, portfolio: Portfolio) -> None:
    """Wait for an answer in the critical lane, which has no checks of the load before it."""
    while True:
        try:
            system.risk.check(portfolio, priority="critical", timeout_s=PROBE_S)
        except RiskTasksError:
            continue
        else:
            return


def judge(system: System, oracle: Oracle, load: FailoverLoad, book: list[Portfolio]) -> None:
    """Read and compare the answers of the checks that were accepted until now."""
    handles, load.accepted = load.accepted, []
    for handle in handles:
        try:
            got = system.risk.result(handle.check_id, timeout_s=60)
        except RiskTasksError:
            got = None
        oracle.judge(book, got)


def record(
    figures: Callable[..., None],
    oracle: Oracle,
    load: FailoverLoad,
    elections: list[float],
    recoveries: list[float],
) -> None:
    figures(
        **oracle.verdict(),
        changes=load.changes,
        older_limit_sets=len(load.older),
        refused=dict(load.refused),
        failovers=len(recoveries),
        election_median_s=statistics.median_high(elections),
        election_max_s=max(elections),
        recovery_median_s=statistics.median_high(recoveries),
        recovery_max_s=max(recoveries),
    )
