"""The settings of an autoscaler, and their documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from risk_tasks.errors import InvalidSettingsError
from risk_tasks.queues import Lane
from risk_tasks.settings import PREFIX, Settings
from workers.autoscaler.settings import AutoscalerSettings

OWN = {
    name: field
    for name, field in AutoscalerSettings.model_fields.items()
    if name not in Settings.model_fields
}


def test_settings_make_the_policy(monkeypatch):
    monkeypatch.setenv("RISK_TASKS_AUTOSCALER_MAX", "9")
    monkeypatch.setenv("RISK_TASKS_AUTOSCALER_BATCH_TARGET_S", "90")
    policy = AutoscalerSettings.read().policy()

    assert (policy.min_workers, policy.max_workers) == (1, 9)
    assert policy.targets_s == {
        Lane.CRITICAL: 2.0,
        Lane.NORMAL: 2.0,
        Lane.BATCH: 90.0,
    }


@pytest.mark.parametrize(
    ("name", "value"), [("MAX", "0"), ("MIN", "none"), ("DRIVER", "swarm"), ("EVERY_S", "9")]
)
def test_an_invalid_value_is_refused_with_its_name(monkeypatch, name, value):
    monkeypatch.setenv(f"RISK_TASKS_AUTOSCALER_{name}", value)

    with pytest.raises(InvalidSettingsError, match=f"RISK_TASKS_AUTOSCALER_{name}"):
        AutoscalerSettings.read()


def test_a_maximum_below_the_minimum_is_refused():
    settings = AutoscalerSettings.read(autoscaler_min=3, autoscaler_max=2)

    with pytest.raises(InvalidSettingsError, match="RISK_TASKS_AUTOSCALER_MAX"):
        settings.policy()


def test_the_former_name_of_the_cooldown_is_refused_with_the_new_one(monkeypatch):
    monkeypatch.setenv("RISK_TASKS_AUTOSCALER_CALM_S", "30")

    with pytest.raises(InvalidSettingsError, match="RISK_TASKS_AUTOSCALER_COOLDOWN_S"):
        AutoscalerSettings.read()


def test_each_setting_is_documented_with_its_default():
    page = (Path(__file__).parents[3] / "docs" / "reference" / "settings.md").read_text()

    assert len(OWN) > 10
    for name, field in OWN.items():
        (row,) = [line for line in page.splitlines() if f"| `{PREFIX}{name.upper()}`" in line]
        assert not field.default or f"`{field.default}`" in row, name
