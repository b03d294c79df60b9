"""`make secrets` makes what is missing, and keeps what is there."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NAMES = {
    "broker_url",
    "cache_url",
    "flower_password",
    "gateway_token",
    "gateway_tokens",
    "local_url",
    "redis_users",
}
OWN_SERVER = "rediss://:token@host:6379/0\n"


@pytest.fixture
def secrets(tmp_path):
    """A copy of the script, and the folder that it fills."""
    (tmp_path / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "secrets.sh", tmp_path / "deploy")
    folder = tmp_path / "secrets"
    folder.mkdir()
    return folder


def make(folder: Path) -> subprocess.CompletedProcess[str]:
    script = folder.parent / "deploy" / "secrets.sh"
    return subprocess.run(
        ["sh", str(script)], capture_output=True, text=True, timeout=30, check=False
    )


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def password_in(url: str) -> str:
    return re.fullmatch(r"redis://:(\w+)@\S+\n", url)[1]


def opens(users: str, password: str) -> bool:
    """Whether the users of the servers have this password."""
    return hashlib.sha256(password.encode()).hexdigest() in users


def test_every_secret_is_made_and_a_second_run_changes_none(secrets):
    assert make(secrets).returncode == 0
    made = texts(secrets)
    assert set(made) == NAMES
    assert opens(made["redis_users"], password_in(made["broker_url"]))
    assert password_in(made["cache_url"]) == password_in(made["broker_url"])

    assert make(secrets).returncode == 0
    assert texts(secrets) == made


@pytest.mark.parametrize("lost", sorted(NAMES - {"gateway_token", "gateway_tokens"}))
def test_a_lost_secret_is_made_again_and_fits_the_others(secrets, lost):
    make(secrets)
    before = texts(secrets)
    (secrets / lost).unlink()

    assert make(secrets).returncode == 0

    made = texts(secrets)
    if lost != "flower_password":
        assert made == before
    assert set(made) == NAMES


def test_a_url_of_another_server_is_kept_and_the_cache_gets_a_password_of_its_own(secrets):
    """Compose mounts all of them, also where the broker is not in the stack."""
    (secrets / "broker_url").write_text(OWN_SERVER)

    assert make(secrets).returncode == 0

    made = texts(secrets)
    assert set(made) == NAMES
    assert made["broker_url"] == OWN_SERVER
    assert opens(made["redis_users"], password_in(made["cache_url"]))
    assert "token" not in made["cache_url"]


def test_users_whose_password_is_lost_are_refused(secrets):
    """A new password would not open the servers that run."""
    make(secrets)
    for name in ("broker_url", "cache_url", "local_url"):
        (secrets / name).unlink()

    done = make(secrets)

    assert done.returncode == 1
    assert "only the hash" in done.stderr
