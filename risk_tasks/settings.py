"""What the environment may set, read by roles, commands and `RiskClient.from_env` alone.

Each `RISK_TASKS_NAME` may instead be `RISK_TASKS_NAME_FILE`, the path of a file that holds it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from risk_tasks.errors import InvalidSettingsError

PREFIX = "RISK_TASKS_"
#: variables that had another name, and their name now: the old one is refused
RENAMED = {
    "RISK_TASKS_AUTOSCALER_CALM_S": "RISK_TASKS_AUTOSCALER_COOLDOWN_S",
    "RISK_TASKS_LIVE_RETRIGGER_S": "RISK_TASKS_LIVE_VISIBILITY_TIMEOUT_S",
}
#: whom Flower lets in, with `flower_password`
FLOWER_USER = "operator"


class Settings(BaseSettings):
    """Frozen values; an unreadable one raises `InvalidSettingsError` naming the variable."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    #: where the lanes, the markets and the answers are
    broker_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    #: where the results of the JSON door go; the broker where it is not given
    result_url: SecretStr | None = None
    #: seconds that a client waits for a report
    timeout_s: float = Field(default=5.0, gt=0, le=86_400)
    #: lanes that a worker serves, most urgent first
    lanes: str = "critical,normal,batch"
    #: threads of a worker
    concurrency: int = Field(default=1, ge=1, le=256)
    #: into how many shards the normal and the batch lane are cut; as they are where it is not given
    shards: int | None = Field(default=None, ge=1, le=1_024)
    #: markets that a worker holds in memory
    markets_held: int = Field(default=4, ge=1)
    #: where results are shared; the broker where it is not given
    cache_url: SecretStr | None = None
    #: bytes of results that a worker keeps in memory
    cache_local_bytes: int = Field(default=64 << 20, ge=0)
    #: seconds that a result is kept, in memory and on the server
    cache_ttl_s: float = Field(default=900.0, gt=0, le=86_400)
    #: a file that a worker touches while it consumes, a scheduler while it looks after the ledger
    heartbeat_file: Path | None = None
    #: what Flower asks for; it does not start without one
    flower_password: SecretStr | None = None
    #: live portfolios that are computed together once so many have changed
    live_batch_size: int = Field(default=50, ge=1, le=1_000)
    #: ms that a changed one waits for others at most
    live_window_ms: int = Field(default=100, ge=0, le=60_000)
    #: live portfolios a second that follow a new market or limit set, for each scheduler
    live_refresh_per_s: float = Field(default=5_000.0, gt=0)
    #: seconds until a live portfolio that was taken and has no report yet is taken again
    live_visibility_timeout_s: float = Field(default=15.0, ge=1, le=3_600)
    #: how often computing one is begun before it is given up
    live_max_attempts: int = Field(default=3, ge=1)
    #: live portfolios that are taken and not recorded at once
    live_max_underway: int = Field(default=1_000, ge=1)
    #: the address that the gateway listens on; without tokens only one of this machine
    gateway_host: str = "127.0.0.1"
    #: its port; any free one for 0
    gateway_port: int = Field(default=8200, ge=0, le=65_535)
    #: TOML: hashes of the tokens that it lets in, with their roles
    gateway_tokens: SecretStr | None = None
    #: the longest time that one of its callers may ask to wait
    gateway_most_s: float = Field(default=60.0, gt=0, le=3_600)
    #: the largest JSON body, the largest Arrow body, and all bodies that it holds at once
    gateway_json_bytes: int = Field(default=8 << 20, ge=1_024)
    gateway_arrow_bytes: int = Field(default=64 << 20, ge=1_024)
    gateway_held_bytes: int = Field(default=256 << 20, ge=1_024)
    #: debug, info, warning, error
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    #: auto: readable on a terminal, JSON elsewhere; json; console
    log_format: str = Field(default="auto", pattern="^(auto|json|console)$")
    #: whether workers measure what they do: on, off
    metrics: str = Field(default="on", pattern="^(on|off)$")
    #: where a role serves Prometheus; none where it is not given, any free port for 0
    metrics_port: int | None = Field(default=None, ge=0, le=65_535)
    #: the address that it listens on
    metrics_host: str = "127.0.0.1"

    @classmethod
    def read(cls, **overrides: Any) -> Self:
        """Read the environment; what is given and not None comes before it.

        Raises `InvalidSettingsError` for a bad value and for a variable that has another name now.
        """
        _refuse_renamed()
        given = {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else "settings"
            raise InvalidSettingsError(
                f"{first['msg']}.",
                field=f"{PREFIX}{name.upper()}",
                remedy="docs/reference/settings.md lists what each one may hold.",
            ) from None

    @property
    def result_url_or_broker(self) -> SecretStr:
        return self.result_url or self.broker_url

    @property
    def cache_url_or_broker(self) -> SecretStr:
        return self.cache_url or self.broker_url

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FileSource(settings_cls)


def _refuse_renamed() -> None:
    """Raise `InvalidSettingsError` where the environment holds a variable by its former name."""
    for variable in map(str.upper, os.environ):
        now = RENAMED.get(variable.removesuffix("_FILE"))
        if now is not None:
            suffix = "_FILE" if variable.endswith("_FILE") else ""
            raise InvalidSettingsError(
                f"{variable} has another name now: {now}{suffix}.",
                field=variable,
                remedy=f"Set {now}{suffix} instead, and remove {variable}.",
            )


class _FileSource(PydanticBaseSettingsSource):
    """Reads RISK_TASKS_NAME_FILE, as containers hand over secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{PREFIX}{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        if path is None:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSettingsError(
                f"{path} cannot be read: {error}.",
                field=variable,
                remedy="Name a file that is readable.",
            ) from None

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}
