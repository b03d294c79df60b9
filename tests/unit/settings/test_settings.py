"""Settings: their defaults, sources, and errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from risk_tasks.client import RiskClient
from risk_tasks.errors import InvalidSettingsError
from risk_tasks.queues import Lane
from risk_tasks.settings import PREFIX, RENAMED, Settings

SECRET = "redis://:hunter2@host:6379/0"
DEFAULTS = {
    "broker_url": "redis://127.0.0.1:6379/0",
    "result_url": None,
    "timeout_s": 5.0,
    "lanes": "critical,normal,batch",
    "concurrency": 1,
    "shards": None,
    "markets_held": 4,
    "cache_url": None,
    "cache_local_bytes": 64 << 20,
    "cache_ttl_s": 900.0,
    "callback_queues": "celery",
    "replicas_required": 0,
    "stall_timeout_s": 300.0,
    "start_timeout_s": None,
    "heartbeat_file": None,
    "live_batch_size": 50,
    "live_window_ms": 100,
    "live_refresh_per_s": 5_000.0,
    "live_visibility_timeout_s": 15.0,
    "live_max_attempts": 3,
    "live_max_in_progress": 1_000,
    "flower_password": None,
    "flower_url_prefix": "",
    "gateway_host": "127.0.0.1",
    "gateway_port": 8200,
    "gateway_tokens": None,
    "gateway_max_wait_s": 60.0,
    "gateway_json_bytes": 8 << 20,
    "gateway_arrow_bytes": 64 << 20,
    "gateway_held_bytes": 256 << 20,
    "log_level": "info",
    "log_format": "auto",
    "metrics": "on",
    "metrics_port": None,
    "metrics_host": "127.0.0.1",
}
GIVEN = {
    "broker_url": ("redis://one:1/0", "redis://one:1/0"),
    "result_url": ("redis://two:2/0", "redis://two:2/0"),
    "timeout_s": ("0.25", 0.25),
    "lanes": ("critical", "critical"),
    "concurrency": ("256", 256),
    "shards": ("1024", 1_024),
    "markets_held": ("1", 1),
    "cache_url": ("redis://three:3/0", "redis://three:3/0"),
    "cache_local_bytes": ("0", 0),
    "cache_ttl_s": ("86400", 86_400.0),
    "callback_queues": ("celery,decisions", "celery,decisions"),
    "replicas_required": ("1", 1),
    "stall_timeout_s": ("60", 60.0),
    "start_timeout_s": ("2.5", 2.5),
    "heartbeat_file": ("/run/beat", Path("/run/beat")),
    "live_batch_size": ("20", 20),
    "live_window_ms": ("0", 0),
    "live_refresh_per_s": ("100", 100.0),
    "live_visibility_timeout_s": ("2.5", 2.5),
    "live_max_attempts": ("1", 1),
    "live_max_in_progress": ("64", 64),
    "flower_password": ("tulip", "tulip"),
    "gateway_host": ("0.0.0.0", "0.0.0.0"),
    "gateway_port": ("0", 0),
    "gateway_tokens": ("[[tokens]]", "[[tokens]]"),
    "gateway_max_wait_s": ("1.5", 1.5),
    "gateway_json_bytes": ("1024", 1_024),
    "gateway_arrow_bytes": ("1024", 1_024),
    "gateway_held_bytes": ("1024", 1_024),
    "log_level": ("debug", "debug"),
    "log_format": ("json", "json"),
    "metrics": ("off", "off"),
    "metrics_port": ("0", 0),
    "metrics_host": ("0.0.0.0", "0.0.0.0"),
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    """Remove all RISK_TASKS variables."""
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


def plain(value):
    """Return the content of a secret, and any other value unchanged."""
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def refusal(**overrides):
    """Read the settings and return the error."""
    with pytest.raises(InvalidSettingsError) as caught:
        Settings.read(**overrides)
    assert caught.value.remedy
    return caught.value


def test_settings_and_defaults():
    """Equal to the documentation."""
    settings = Settings.read()

    assert {name: plain(getattr(settings, name)) for name in Settings.model_fields} == DEFAULTS


@pytest.mark.parametrize("name", GIVEN)
def test_a_setting_is_read_from_its_variable(name, monkeypatch):
    """RISK_TASKS_NAME."""
    text, value = GIVEN[name]
    monkeypatch.setenv(f"RISK_TASKS_{name.upper()}", text)

    assert plain(getattr(Settings.read(), name)) == value


@pytest.mark.parametrize("name", GIVEN)
def test_a_setting_is_read_from_a_file(name, monkeypatch, tmp_path):
    """RISK_TASKS_NAME_FILE; the newline at its end is ignored."""
    text, value = GIVEN[name]
    path = tmp_path / "secret"
    path.write_text(f"{text}\n")
    monkeypatch.setenv(f"RISK_TASKS_{name.upper()}_FILE", str(path))

    assert plain(getattr(Settings.read(), name)) == value


@pytest.mark.parametrize("suffix", ["", "_FILE"])
@pytest.mark.parametrize("variable", RENAMED)
def test_a_former_name_of_a_variable_is_refused_with_the_new_one(variable, suffix, monkeypatch):
    monkeypatch.setenv(variable.lower() + suffix, "1")

    error = refusal()

    assert error.field == variable + suffix
    assert RENAMED[variable] + suffix in error.message


def test_the_longest_timeout_is_a_day():
    assert Settings.read(timeout_s=86_400.0).timeout_s == 86_400.0


def test_precedence_is_override_variable_file(monkeypatch, tmp_path):
    """An override of None is ignored."""
    path = tmp_path / "timeout"
    path.write_text("3")
    monkeypatch.setenv("RISK_TASKS_TIMEOUT_S_FILE", str(path))
    assert Settings.read().timeout_s == 3.0

    monkeypatch.setenv("RISK_TASKS_TIMEOUT_S", "2")
    assert Settings.read().timeout_s == 2.0
    assert Settings.read(timeout_s=None).timeout_s == 2.0
    assert Settings.read(timeout_s=1.0).timeout_s == 1.0


def test_other_variables_are_ignored(monkeypatch, tmp_path):
    """Those without the prefix, unknown ones with it, and a file .env."""
    monkeypatch.setenv("TIMEOUT_S", "1")
    monkeypatch.setenv("RISK_TASKS_LUCK", "7")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("RISK_TASKS_TIMEOUT_S=1\n")

    assert Settings.read() == Settings()
    assert Settings.read().timeout_s == 5.0


BAD_VALUES = [
    *(("callback_queues", f"celery,{lane.queue}") for lane in Lane),
    ("callback_queues", ""),
    ("replicas_required", "-1"),
    ("stall_timeout_s", "0"),
    ("start_timeout_s", "0"),
    ("flower_url_prefix", "two words"),
    ("timeout_s", "0"),
    ("timeout_s", "-1"),
    ("timeout_s", "soon"),
    ("timeout_s", ""),
    ("timeout_s", "nan"),
    ("timeout_s", "inf"),
    ("timeout_s", "86400.5"),
    ("concurrency", "0"),
    ("concurrency", "257"),
    ("concurrency", "1.5"),
    ("concurrency", "many"),
    ("markets_held", "0"),
    ("markets_held", "-1"),
    ("cache_local_bytes", "-1"),
    ("cache_ttl_s", "0"),
    ("cache_ttl_s", "86400.5"),
    ("gateway_port", "-1"),
    ("gateway_port", "65536"),
    ("gateway_max_wait_s", "0"),
    ("gateway_max_wait_s", "3601"),
    ("gateway_json_bytes", "1023"),
    ("gateway_arrow_bytes", "1023"),
    ("gateway_held_bytes", "1023"),
    ("log_level", "loud"),
    ("log_level", "INFO "),
    ("log_level", "debugging"),
    ("log_format", "xml"),
    ("metrics", "maybe"),
    ("metrics_port", "-1"),
    ("metrics_port", "65536"),
    ("metrics_port", ""),
]


@pytest.mark.parametrize(("name", "text"), BAD_VALUES)
def test_an_invalid_value_is_refused_with_its_variable(name, text, monkeypatch):
    """And with the page that documents it."""
    monkeypatch.setenv(f"RISK_TASKS_{name.upper()}", text)

    error = refusal()

    assert error.field == f"RISK_TASKS_{name.upper()}"
    assert error.code == "invalid_settings"
    assert "docs/reference/settings.md" in error.remedy


def test_an_invalid_override_is_refused_with_its_variable():
    """Options of commands are overrides."""
    assert refusal(concurrency=0).field == "RISK_TASKS_CONCURRENCY"


def test_an_invalid_value_in_a_file_is_refused(monkeypatch, tmp_path):
    """With the name of the setting."""
    path = tmp_path / "level"
    path.write_text("loud")
    monkeypatch.setenv("RISK_TASKS_LOG_LEVEL_FILE", str(path))

    assert refusal().field.startswith("RISK_TASKS_LOG_LEVEL")


def missing(folder):
    return folder / "missing"


def directory(folder):
    return folder


def not_text(folder):
    path = folder / "binary"
    path.write_bytes(b"\xff\xfe\x00")
    return path


@pytest.mark.parametrize("make", [missing, directory, not_text])
def test_an_unreadable_file_is_refused_with_its_variable(make, monkeypatch, tmp_path):
    """And with its path."""
    path = make(tmp_path)
    monkeypatch.setenv("RISK_TASKS_BROKER_URL_FILE", str(path))

    error = refusal()

    assert error.field == "RISK_TASKS_BROKER_URL_FILE"
    assert str(path) in error.message


def test_secrets_are_not_shown(monkeypatch):
    """Neither in a representation nor in an error of another value."""
    monkeypatch.setenv("RISK_TASKS_BROKER_URL", SECRET)
    monkeypatch.setenv("RISK_TASKS_RESULT_URL", SECRET)

    settings = Settings.read()

    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)
    monkeypatch.setenv("RISK_TASKS_CONCURRENCY", "0")
    assert "hunter2" not in str(refusal())


def test_settings_are_immutable():
    with pytest.raises(ValidationError):
        Settings.read().concurrency = 2


def test_a_client_reads_the_environment(monkeypatch):
    """URL and timeout; it opens no connection."""
    monkeypatch.setenv("RISK_TASKS_BROKER_URL", SECRET)
    monkeypatch.setenv("RISK_TASKS_TIMEOUT_S", "2.5")

    client = RiskClient.from_env()

    assert client.url == SECRET
    assert repr(client) == "RiskClient('redis://:***@host:6379/0', timeout_s=2.5)"
