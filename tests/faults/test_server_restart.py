"""The server dies and restarts with its append-only file: accepted checks are answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

import pytest

from risk_tasks.client.blocking import Handle
from risk_tasks.errors import TransportError
from risk_tasks.model.portfolio import Portfolio
from tests.faults.oracle import Oracle
from tests.faults.system import System, seconds
from tests.integration.support import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(2_400)]


#: how long the server is down, in each round
DOWN_S = (1.0, 5.0)


class Load:
    """Submits blocks until stopped, and keeps the handle of each accepted one."""

    def __init__(self, system: System, portfolios: list[Portfolio]) -> None:
        self.accepted: list[Handle] = []
        self.refused = 0
        self.slowest_refusal_s = 0.0
        self._system, self._portfolios = system, portfolios
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(0.01):
            started = time.monotonic()
            try:
                self.accepted.append(self._system.risk.submit(self._portfolios, timeout_s=120))
            except TransportError:
                self.refused += 1
                self.slowest_refusal_s = max(self.slowest_refusal_s, seconds(started))


def test_a_restarted_server_loses_no_accepted_check(
    system: System,
    oracle: Oracle,
    portfolios: list[Portfolio],
    sized: Callable[[int, int], int],
    figures: Callable[..., None],
) -> None:
    """Clients and workers reconnect without a restart."""
    resumed: list[float] = []
    book = portfolios[:20]
    with Load(system, book) as load:
        for number in range(sized(2, 10)):
            n_before = len(load.accepted)
            wait_until(lambda n=n_before: len(load.accepted) > n + 20, 30, "load")
            system.server.kill()
            time.sleep(DOWN_S[number % len(DOWN_S)])
            system.server.restart()
            back_at = time.monotonic()
            n_back = len(load.accepted)
            wait_until(lambda n=n_back: len(load.accepted) > n, 10, "a client that resumes")
            load.accepted[-1].result(timeout_s=60)
            resumed.append(seconds(back_at))

    for handle in load.accepted:
        oracle.judge(book, handle.result(timeout_s=60))
    figures(**oracle.verdict(), resumed_s=resumed, refused=load.refused)
    assert oracle.lost == []
    assert oracle.wrong == []
    assert load.slowest_refusal_s <= 2.0
    assert max(resumed) <= 5.0
    assert system.worker.n_restarts == 0
    system.assert_counters_match_a_recount()
