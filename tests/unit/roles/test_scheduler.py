"""Schedules in TOML files."""

from __future__ import annotations

from pathlib import Path

import pytest

from risk_tasks.errors import InputFileError
from risk_tasks.roles.scheduler import Schedule, read_schedule
from risk_tasks.store.prewarm import PrewarmPolicy

ROOT = Path(__file__).parents[3]


def test_the_schedule_of_the_container_equals_the_default():
    """`risk-tasks scheduler` and `python -m beat` behave equally."""
    assert read_schedule(ROOT / "beat" / "schedule.toml") == Schedule()


def test_a_schedule_sets_tasks_queues_and_intervals(tmp_path):
    """A message expires before the next one is sent."""
    path = tmp_path / "schedule.toml"
    path.write_text("[sweep]\nevery_s = 3.0\n[prewarm]\nevery_s = 5\nn_requests = 7\n")

    entries = read_schedule(path).entries()

    assert {name: entry["schedule"] for name, entry in entries.items()} == {
        "risk.sweep": 3.0,
        "risk.prewarm": 5.0,
    }
    assert entries["risk.prewarm"]["options"] == {"queue": "risk.batch", "expires": 5.0}
    policy = PrewarmPolicy(**entries["risk.prewarm"]["kwargs"])
    assert (policy.every_s, policy.n_requests) == (5.0, 7)


def test_prewarming_of_zero_requests_is_not_scheduled(tmp_path):
    """The sweep still is."""
    schedule = Schedule(prewarm=PrewarmPolicy(n_requests=0))
    assert set(schedule.entries()) == {"risk.sweep"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[sweep]\nevery = 3\n", "every"),
        ("[prewarm]\nn_requests = 'all'\n", "prewarm.n_requests"),
        ("[prewarm]\nevery_s = 0\n", "prewarm.every_s"),
        ("[sweep]\nevery_s = nan\n", "sweep.every_s"),
        ("[sweep\n", "schedule.toml"),
    ],
)
def test_an_invalid_schedule_is_refused_with_its_key(tmp_path, text, named):
    """And with the file."""
    path = tmp_path / "schedule.toml"
    path.write_text(text)

    with pytest.raises(InputFileError) as caught:
        read_schedule(path)

    assert named in str(caught.value)
    assert "schedule.toml" in caught.value.field
