"""One look after the other: see, decide, act, tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from risk_tasks.errors import RiskTasksError
from risk_tasks.store.roles import AutoscalerReport, AutoscalerStore
from workers.autoscaler.driver import Driver, EngineError, Worker, idlest
from workers.autoscaler.metrics import AutoscalerMetrics
from workers.autoscaler.policy import Decision, Direction, Policy, Signals, State, decide
from workers.autoscaler.signals import Seen

log = structlog.get_logger("risk_tasks")


class Reader(Protocol):
    """Sees a system."""

    def read(self, workers: Sequence[Worker]) -> Seen: ...


class Autoscaler:
    """Looks when it is told to; `clock` may be any that does not go back, in seconds."""

    def __init__(
        self,
        name: str,
        policy: Policy,
        reader: Reader,
        driver: Driver,
        store: AutoscalerStore,
        metrics: AutoscalerMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._policy = policy
        self._reader = reader
        self._driver = driver
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._state = State()
        self._told = ("", "")
        self._change: tuple[str, float] | None = None

    def look(self) -> Decision | None:
        """Take one decision and act on it; None where another autoscaler acts.

        Raises `TransportError` where the server is away: nothing is done then, and no calm counted.
        """
        try:
            acts = self._store.take(self._name)
        except RiskTasksError:
            self._state, _ = decide(self._policy, self._state, None, self._clock())
            raise
        if not acts:
            self._state = State()
            self._tell(None, Decision(Direction.HOLD, "another_acts", None))
            return None
        workers, seen = self._see()
        signals = seen.signals if seen else None
        self._state, decision = decide(self._policy, self._state, signals, self._clock())
        self._tell(signals, decision)
        if seen is not None:
            self._act(decision, workers, seen)
        self._store.write(self._report(decision, signals))
        return decision

    def _see(self) -> tuple[Sequence[Worker], Seen | None]:
        try:
            workers = self._driver.workers()
            return workers, self._reader.read(workers)
        except RiskTasksError as error:
            log.warning("autoscaler.blind", error=str(error))
            return [], None

    def _act(self, decision: Decision, workers: Sequence[Worker], seen: Seen) -> None:
        if decision.direction is Direction.HOLD or decision.wanted is None:
            return
        before = after = len(workers)
        try:
            while after < decision.wanted:
                log.info("autoscaler.added", worker=self._driver.add())
                after += 1
            if after > decision.wanted:
                goes = idlest(workers, seen.busy_by_host)
                self._driver.drain(goes)
                log.info("autoscaler.draining", worker=goes.name)
                after -= 1
        except EngineError as error:
            log.warning("autoscaler.failed", wanted=decision.wanted, error=str(error))
        if after != before:
            self._change = (f"{before} -> {after}: {decision.reason}", self._clock())

    def _tell(self, signals: Signals | None, decision: Decision) -> None:
        """Log a change of mind, and every step; count all."""
        self._metrics.count(signals.n_workers if signals else None, decision)
        said = (decision.direction.value, decision.reason)
        if decision.direction is not Direction.HOLD or said != self._told:
            log.info(
                "autoscaler.decided",
                direction=decision.direction.value,
                reason=decision.reason,
                wanted=decision.wanted,
                **_shown(signals),
            )
        self._told = said

    def _report(self, decision: Decision, signals: Signals | None) -> AutoscalerReport:
        change, at_s = self._change or (None, None)
        shown = _shown(signals)
        return AutoscalerReport(
            name=self._name,
            driver=self._driver.name,
            direction=decision.direction.value,
            reason=decision.reason,
            workers=signals.n_workers if signals else None,
            wanted=decision.wanted,
            min_workers=self._policy.min_workers,
            max_workers=self._policy.max_workers,
            oldest_age_s=shown.get("oldest_age_s"),
            work_s=shown.get("work_s"),
            busy_share=shown.get("busy_share"),
            last_change=change,
            last_change_ago_s=None if at_s is None else self._clock() - at_s,
        )


def _shown(signals: Signals | None) -> dict[str, float | None]:
    """Return the signals as people and logs are told them: over all lanes."""
    if signals is None:
        return {}
    ages = [age_s for age_s in signals.oldest_age_s.values() if age_s is not None]
    work = None if signals.work_s is None else sum(signals.work_s.values())
    return {
        "workers": signals.n_workers,
        "ready": signals.n_ready,
        "oldest_age_s": round(max(ages), 3) if ages else None,
        "work_s": None if work is None else round(work, 3),
        "busy_share": None if signals.busy_share is None else round(signals.busy_share, 3),
    }
