"""Where Flower of this machine is found, and its password."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from risk_tasks.embedding.server import free_port
from risk_tasks.settings import FLOWER_USER, PREFIX

_PASSWORD, _PASSWORD_FILE = f"{PREFIX}FLOWER_PASSWORD", f"{PREFIX}FLOWER_PASSWORD_FILE"


@dataclass(frozen=True, slots=True)
class FlowerDoor:
    """A port of this machine, and the file of the password; None where the environment has it."""

    port: int
    password_file: Path | None
    user: str = FLOWER_USER

    @classmethod
    def open(cls, folder: Path) -> FlowerDoor:
        """Choose a port; write a new password into `folder` unless the environment names one."""
        if _PASSWORD in os.environ:
            return cls(free_port(), None)
        if _PASSWORD_FILE in os.environ:
            return cls(free_port(), Path(os.environ[_PASSWORD_FILE]))
        path = folder / "flower-password"
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
        return cls(free_port(), path)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def arguments(self) -> list[str]:
        return ["flower", "--port", str(self.port)]

    @property
    def environment(self) -> Mapping[str, str]:
        return {} if self.password_file is None else {_PASSWORD_FILE: str(self.password_file)}
