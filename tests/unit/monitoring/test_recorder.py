"""Records are laid aside by many threads, and counted once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from risk_tasks.metrics import NullRecorder
from risk_tasks.monitoring.recorder import LateRecorder
from tests.unit.monitoring.records import block


class Kept:
    """A sink that keeps all."""

    def __init__(self) -> None:
        self.records = []

    def count(self, records) -> None:
        self.records += records


def test_each_sink_gets_each_record_once_and_in_order():
    """At a flush, and not before."""
    sinks = [Kept(), Kept()]
    recorder = LateRecorder(sinks)
    recorder.record(block(n_checks=1))
    recorder.record(block(n_checks=2))
    assert [sink.records for sink in sinks] == [[], []]

    recorder.flush()
    recorder.record(block(n_checks=3))
    recorder.flush()
    recorder.flush()

    for sink in sinks:
        assert [record.n_checks for record in sink.records] == [1, 2, 3]


def test_of_many_threads_nothing_is_lost_while_it_is_counted():
    """One flushes, as the worker's thread does, while the others record."""
    sink = Kept()
    recorder = LateRecorder([sink])

    def work(thread: int) -> None:
        for number in range(500):
            recorder.record(block(n_checks=thread * 500 + number))
            if thread == 0:
                recorder.flush()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    recorder.flush()

    assert sorted(record.n_checks for record in sink.records) == list(range(2_000))


def test_the_null_recorder_takes_anything():
    assert NullRecorder().record(block()) is None
