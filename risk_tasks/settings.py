"""Settings from the environment; only roles, commands and `RiskClient.from_env` read them.

Each `RISK_TASKS_NAME` may be replaced by `RISK_TASKS_NAME_FILE`, the path of a file with its value.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from risk_tasks.errors import InvalidSettingsError

PREFIX = "RISK_TASKS_"
#: former names of variables, which are refused, with the new names
RENAMED = {
    "RISK_TASKS_AUTOSCALER_CALM_S": "RISK_TASKS_AUTOSCALER_COOLDOWN_S",
    "RISK_TASKS_GATEWAY_MOST_S": "RISK_TASKS_GATEWAY_MAX_WAIT_S",
    "RISK_TASKS_LIVE_MAX_UNDERWAY": "RISK_TASKS_LIVE_MAX_IN_PROGRESS",
    "RISK_TASKS_LIVE_RETRIGGER_S": "RISK_TASKS_LIVE_VISIBILITY_TIMEOUT_S",
}
#: queues with names that start so belong to this package
RESERVED_PREFIX = "risk."
#: the user of Flower, with `flower_password`
FLOWER_USER = "operator"


class Settings(BaseSettings):
    """Immutable settings; an invalid value raises `InvalidSettingsError` with the variable."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    #: URL of the broker, which has the lanes, the markets and the answers
    broker_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    #: URL of the result backend of the task `risk.check`; default: the broker
    result_url: SecretStr | None = None
    #: number of replicas that have the writes of a client, the gateway or a command at its return
    replicas_required: int = Field(default=0, ge=0, le=16)
    #: seconds that a client waits for a report
    timeout_s: float = Field(default=5.0, gt=0, le=86_400)
    #: lanes of a worker, the most urgent first
    lanes: str = "critical,normal,batch"
    #: threads of a worker
    concurrency: int = Field(default=1, ge=1, le=256)
    #: shards of the normal and the batch lane; default: the number that the broker has stored
    shards: int | None = Field(default=None, ge=1, le=1_024)
    #: markets that a worker keeps in memory
    markets_held: int = Field(default=4, ge=1)
    #: URL of the server of the result cache; default: the broker
    cache_url: SecretStr | None = None
    #: bytes of cached results in the memory of a worker
    cache_local_bytes: int = Field(default=64 << 20, ge=0)
    #: lifetime of a cached result in seconds
    cache_ttl_s: float = Field(default=900.0, gt=0, le=86_400)
    #: queues, separated by commas, to which workers may send callbacks; the first is the default
    callback_queues: str = Field(default="celery", pattern=r"^[\w.@-]+(,[\w.@-]+)*$")
    #: seconds after which a worker that cannot serve although the server can ends with code 70
    stall_timeout_s: float = Field(default=300.0, gt=0)
    #: seconds that a role waits for the server at its start; default: without end
    start_timeout_s: float | None = Field(default=None, gt=0)
    #: file that a worker touches while it consumes, a scheduler while it watches the ledger
    heartbeat_file: Path | None = None
    #: password of Flower, which does not start without one
    flower_password: SecretStr | None = None
    #: path below which Flower serves its pages, such as `flower` behind a proxy
    flower_url_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._~/-]{0,100}$")
    #: changed live portfolios that start one computation
    live_batch_size: int = Field(default=50, ge=1, le=1_000)
    #: milliseconds that a changed live portfolio waits for others
    live_window_ms: int = Field(default=100, ge=0, le=60_000)
    #: live portfolios per second and scheduler that are recomputed for a new market or limit set
    live_refresh_per_s: float = Field(default=5_000.0, gt=0)
    #: seconds after which a computation of a live portfolio without a report is repeated
    live_visibility_timeout_s: float = Field(default=15.0, ge=1, le=3_600)
    #: computations of a live portfolio before it becomes a dead letter
    live_max_attempts: int = Field(default=3, ge=1)
    #: live portfolios whose computation is in progress
    live_max_in_progress: int = Field(default=1_000, ge=1)
    #: address that the gateway listens on; without tokens only a loopback address
    gateway_host: str = "127.0.0.1"
    #: port of the gateway; 0: a free one
    gateway_port: int = Field(default=8200, ge=0, le=65_535)
    #: TOML text with the hashes and roles of the tokens of the gateway
    gateway_tokens: SecretStr | None = None
    #: longest wait in seconds that a request to the gateway may set
    gateway_max_wait_s: float = Field(default=60.0, gt=0, le=3_600)
    #: largest JSON body in bytes
    gateway_json_bytes: int = Field(default=8 << 20, ge=1_024)
    #: largest Arrow body in bytes
    gateway_arrow_bytes: int = Field(default=64 << 20, ge=1_024)
    #: largest sum of all bodies that the gateway holds at a time
    gateway_held_bytes: int = Field(default=256 << 20, ge=1_024)
    #: lowest level of logged events
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    #: format of log lines; auto: console on a terminal, otherwise json
    log_format: str = Field(default="auto", pattern="^(auto|json|console)$")
    #: whether workers record metrics
    metrics: str = Field(default="on", pattern="^(on|off)$")
    #: port of the Prometheus endpoint of a role; 0: a free one; default: no endpoint
    metrics_port: int | None = Field(default=None, ge=0, le=65_535)
    #: address that the Prometheus endpoint listens on
    metrics_host: str = "127.0.0.1"

    @field_validator("callback_queues")
    @classmethod
    def _of_others(cls, queues: str) -> str:
        if any(queue.startswith(RESERVED_PREFIX) for queue in queues.split(",")):
            raise ValueError(f"a queue starts with {RESERVED_PREFIX!r}: expected another queue")
        return queues

    @classmethod
    def read(cls, **overrides: Any) -> Self:
        """Read the environment; overrides that are not None have precedence.

        Raises `InvalidSettingsError` for an invalid value and for a former name of a variable.
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
                remedy="docs/reference/settings.md lists the accepted values.",
            ) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = InitSettingsSource(settings_cls, _read_files(settings_cls))
        return init_settings, env_settings, files


def _refuse_renamed() -> None:
    """Raise `InvalidSettingsError` if the environment has a variable with a former name."""
    for variable in map(str.upper, os.environ):
        new = RENAMED.get(variable.removesuffix("_FILE"))
        if new is not None:
            suffix = "_FILE" if variable.endswith("_FILE") else ""
            raise InvalidSettingsError(
                f"{variable} has a new name: {new}{suffix}.",
                field=variable,
                remedy=f"Set {new}{suffix} and remove {variable}.",
            )


def _read_files(settings_cls: type[BaseSettings]) -> dict[str, Any]:
    """Read each RISK_TASKS_NAME_FILE, by which containers pass secrets."""
    found = {}
    for name in settings_cls.model_fields:
        variable = f"{PREFIX}{name.upper()}_FILE"
        path = os.environ.get(variable)
        if path is None:
            continue
        try:
            found[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSettingsError(
                f"{path} cannot be read: {error}.",
                field=variable,
                remedy="Give a readable text file.",
            ) from None
    return found
