"""Records are buffered by many threads, and counted once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from risk_tasks.monitoring.recording import BufferedRecorder
from tests.unit.monitoring.records import block


class Kept:
    """A sink that keeps all records."""

    def __init__(self) -> None:
        self.records = []

    def count(self, records) -> None:
        self.records += records


def test_each_sink_gets_each_record_once_and_in_order():
    """At a flush, and not earlier."""
    sinks = [Kept(), Kept()]
    recorder = BufferedRecorder(sinks)
    recorder.record(block(n_checks=1))
    recorder.record(block(n_checks=2))
    assert [sink.records for sink in sinks] == [[], []]

    recorder.flush()
    recorder.record(block(n_checks=3))
    recorder.flush()
    recorder.flush()

    for sink in sinks:
        assert [record.n_checks for record in sink.records] == [1, 2, 3]


def test_no_record_of_many_threads_is_lost_during_a_flush():
    """One thread flushes, as in a worker, while the others record."""
    sink = Kept()
    recorder = BufferedRecorder([sink])

    def work(thread: int) -> None:
        for number in range(500):
            recorder.record(block(n_checks=thread * 500 + number))
            if thread == 0:
                recorder.flush()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    recorder.flush()

    assert sorted(record.n_checks for record in sink.records) == list(range(2_000))
