"""The settings of the autoscaler, in addition to those that every role reads."""

from __future__ import annotations

from pydantic import Field

from risk_tasks.errors import InvalidSettingsError
from risk_tasks.queues import Lane
from risk_tasks.settings import Settings
from workers.autoscaler.policy import Policy


class AutoscalerSettings(Settings):
    """Each is RISK_TASKS_AUTOSCALER_NAME."""

    #: the minimum number of workers
    autoscaler_min: int = Field(default=1, ge=1, le=999)
    #: the maximum number of workers
    autoscaler_max: int = Field(default=4, ge=1, le=999)
    #: seconds within which the waiting work of the critical and the normal lane must be finished
    autoscaler_target_s: float = Field(default=2.0, gt=0, le=3_600)
    #: seconds within which the waiting work of the batch lane must be finished
    autoscaler_batch_target_s: float = Field(default=30.0, gt=0, le=86_400)
    #: the largest factor by which one step up multiplies the workers
    autoscaler_up_factor: float = Field(default=2.0, ge=1, le=100)
    #: seconds for which one worker must be superfluous before it is removed
    autoscaler_cooldown_s: float = Field(default=60.0, ge=0, le=86_400)
    #: seconds that the last step up is given to show its effect
    autoscaler_settle_s: float = Field(default=10.0, ge=0, le=3_600)
    #: seconds between two steps
    autoscaler_every_s: float = Field(default=2.0, ge=0.1, le=5)
    #: docker: changes the number of workers; dry-run: only reports its decisions
    autoscaler_driver: str = Field(default="docker", pattern="^(docker|dry-run)$")
    #: the socket of Docker's engine
    autoscaler_socket: str = "/var/run/docker.sock"
    #: the Compose project; that of its own container by default
    autoscaler_project: str = ""
    #: the service that is scaled
    autoscaler_service: str = "worker"

    def policy(self) -> Policy:
        """Return the policy; raises `InvalidSettingsError` for a maximum below the minimum."""
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
            cooldown_s=self.autoscaler_cooldown_s,
            settle_s=self.autoscaler_settle_s,
        )
