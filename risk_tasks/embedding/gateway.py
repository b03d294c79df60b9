"""Where the gateway of this machine is found."""

from __future__ import annotations

from dataclasses import dataclass

from risk_tasks.embedding.server import free_port


@dataclass(frozen=True, slots=True)
class GatewayDoor:
    """A port of this machine. Nobody else is let in, so that it asks for no token."""

    port: int

    @classmethod
    def open(cls) -> GatewayDoor:
        return cls(free_port())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def arguments(self) -> list[str]:
        return ["gateway", "--host", "127.0.0.1", "--port", str(self.port)]
