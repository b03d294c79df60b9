"""When the watchdog ends a worker, by a clock of the test."""

from __future__ import annotations

import pytest

from risk_tasks.errors import TransportError
from risk_tasks.roles.watchdog import STALLED, Watchdog


class Worker:
    """A worker with one slot; each second its parts move unless they are in `still`."""

    def __init__(self) -> None:
        self.now_s, self.slot_s, self.busy = 0.0, 0.0, 0
        self.ended: list[int] = []
        self.server_is_well = True
        self.watchdog = Watchdog(
            self._probe,
            self,
            n_slots=1,
            timeout_s=60,
            clock=lambda: self.now_s,
            end=self.ended.append,
        )

    def run(self, seconds: int, *, still: str = "", step_s: float = 1.0) -> None:
        for _ in range(seconds):
            self.now_s += step_s
            if still != "loop":
                self.watchdog.ticked()
            if still != "fetch":
                self.watchdog.fetched()
            self.slot_s = self.slot_s + step_s if still == "slot" else 0.0
            self.watchdog.look()

    def _probe(self) -> None:
        if not self.server_is_well:
            raise TransportError

    def longest_s(self) -> float:
        return self.slot_s

    def n_busy(self) -> int:
        return self.busy


@pytest.mark.parametrize("part", ["loop", "fetch", "slot"])
def test_a_part_that_does_not_move_ends_the_worker(part):
    """After the timeout, not before it, with a code other than 0."""
    worker = Worker()
    worker.run(59, still=part)
    assert worker.ended == []

    worker.run(2, still=part)

    assert worker.ended[0] == STALLED != 0


def test_a_worker_that_moves_goes_on():
    worker = Worker()

    worker.run(1_000)

    assert worker.ended == []


@pytest.mark.parametrize("part", ["loop", "fetch", "slot"])
def test_a_fault_of_the_server_ends_no_worker(part):
    """The timeout begins when the server is well again."""
    worker = Worker()
    worker.server_is_well = False
    worker.run(1_000, still=part)
    worker.server_is_well = True
    worker.run(59, still=part)
    assert worker.ended == []

    worker.run(2, still=part)

    assert worker.ended


def test_a_worker_without_a_free_slot_need_not_fetch():
    worker = Worker()
    worker.busy = 1

    worker.run(1_000, still="fetch")

    assert worker.ended == []


def test_a_worker_that_was_stopped_itself_goes_on():
    """After a pause of its machine nothing has moved for long."""
    worker = Worker()
    worker.run(5)

    worker.now_s += 3_600
    worker.watchdog.look()
    worker.run(10)

    assert worker.ended == []
