"""What the environment may set of an autoscaler, beside what every role reads."""

from __future__ import annotations

from pydantic import Field

from risk_tasks.errors import InvalidSettingsError
from risk_tasks.queues import Lane
from risk_tasks.settings import Settings
from workers.autoscaler.policy import Policy


class AutoscalerSettings(Settings):
    """Each is RISK_TASKS_AUTOSCALER_NAME."""

    #: workers that there are at the least, and at the most
    autoscaler_min: int = Field(default=1, ge=1, le=999)
    autoscaler_max: int = Field(default=4, ge=1, le=999)
    #: seconds within which what waits is to be done; the batch lane has its own
    autoscaler_target_s: float = Field(default=2.0, gt=0, le=3_600)
    autoscaler_batch_target_s: float = Field(default=30.0, gt=0, le=86_400)
    #: one step up multiplies the workers by this at most
    autoscaler_up_factor: float = Field(default=2.0, ge=1, le=100)
    #: seconds of calm before a worker goes, for each that does
    autoscaler_calm_s: float = Field(default=60.0, ge=0, le=86_400)
    #: seconds that the last step up is given to show an effect
    autoscaler_settle_s: float = Field(default=10.0, ge=0, le=3_600)
    #: seconds between two looks
    autoscaler_every_s: float = Field(default=2.0, ge=0.1, le=5)
    #: docker: it acts; dry-run: it tells what it would do
    autoscaler_driver: str = Field(default="docker", pattern="^(docker|dry-run)$")
    #: the engine's socket
    autoscaler_socket: str = "/var/run/docker.sock"
    #: the project of Compose; that of its own container where it is not given
    autoscaler_project: str = ""
    #: the service that is scaled
    autoscaler_service: str = "worker"

    def policy(self) -> Policy:
        """Return what is wanted; raises `InvalidSettingsError` for bounds in the wrong order."""
        if self.autoscaler_max < self.autoscaler_min:
            raise InvalidSettingsError(
                f"{self.autoscaler_max} is less than the minimum of {self.autoscaler_min}.",
                field="RISK_TASKS_AUTOSCALER_MAX",
                remedy="Give at least RISK_TASKS_AUTOSCALER_MIN.",
            )
        targets_s = dict.fromkeys(Lane, self.autoscaler_target_s)
        targets_s[Lane.BATCH] = self.autoscaler_batch_target_s
        return Policy(
            min_workers=self.autoscaler_min,
            max_workers=self.autoscaler_max,
            targets_s=targets_s,
            up_factor=self.autoscaler_up_factor,
            calm_s=self.autoscaler_calm_s,
            settle_s=self.autoscaler_settle_s,
        )
