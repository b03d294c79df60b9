"""The file that a liveness probe reads."""

from __future__ import annotations

import os

from risk_tasks.broker.heartbeat import Heartbeat


def test_each_beat_updates_the_file(tmp_path):
    path = tmp_path / "heartbeat"
    heartbeat = Heartbeat(path, every_s=0.0)

    heartbeat.beat()
    os.utime(path, (1, 1))
    heartbeat.beat()

    assert path.stat().st_mtime > 1


def test_the_file_is_not_touched_at_every_fetch(tmp_path):
    """A busy worker fetches thousands of times a second."""
    path = tmp_path / "heartbeat"
    heartbeat = Heartbeat(path, every_s=3_600.0)

    heartbeat.beat()
    os.utime(path, (1, 1))
    heartbeat.beat()

    assert path.stat().st_mtime == 1


def test_a_file_that_cannot_be_written_does_not_stop_the_worker(tmp_path):
    """Its probe fails, and its log has the reason."""
    Heartbeat(tmp_path / "nowhere" / "heartbeat").beat()
    Heartbeat(None).beat()
