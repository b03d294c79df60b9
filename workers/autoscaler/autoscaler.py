"""The autoscaler: in each step it reads the signals, decides, acts and reports."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import redis
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from risk_tasks.broker.heartbeat import Heartbeat
from risk_tasks.connection import connect
from risk_tasks.errors import RiskTasksError, TransportError
from risk_tasks.log import log
from risk_tasks.monitoring.status import Status, read_status
from risk_tasks.queues import Lane
from risk_tasks.roles.logs import configure_logs
from risk_tasks.roles.metrics import endpoint_fields, open_endpoint
from risk_tasks.roles.presence import unique_name
from risk_tasks.store.roles import AutoscalerReport, AutoscalerStore, RoleStore
from workers.autoscaler.drivers import (
    DockerDriver,
    Driver,
    DryRunDriver,
    Engine,
    EngineError,
    Worker,
    idlest,
    own_project,
)
from workers.autoscaler.policy import Decision, Direction, Policy, Signals, State, decide
from workers.autoscaler.settings import AutoscalerSettings

#: seconds, two slots: long enough for a share of busy time, short enough to follow a step
_WINDOW_S = 10.0
_GAUGES = {
    "workers": "Workers, without those that are being drained.",
    "wanted_workers": "Workers that the last decision wants.",
    "min_workers": "The minimum.",
    "max_workers": "The maximum.",
}


class SignalReader:
    """Reads the status from the server of `client`; remembers what a check costs."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._work_per_check_s: float | None = None

    def read(self, workers: Sequence[Worker]) -> Signals:
        """Return the signals of `workers`; raises `TransportError` and `DecodeError`."""
        status = read_status(self._client, _WINDOW_S)
        if status.work_per_check_ms is not None:
            self._work_per_check_s = status.work_per_check_ms / 1e3
        return signals_of(status, self._work_per_check_s, workers)


def signals_of(
    status: Status, work_per_check_s: float | None, workers: Sequence[Worker]
) -> Signals:
    """Return the signals in `status`; a pure function."""
    # `unique_name` ends a name with @HOST.
    live = {name.rpartition("@")[2]: busy for name, busy in status.busy_by_worker.items()}
    busy_by_host = {host: busy for host, busy in live.items() if busy is not None}
    shares = [busy_by_host[one.host] for one in workers if one.host in busy_by_host]
    # JSON checks are messages that the count of checks does not include.
    checks = {Lane(name): max(lane.depth, lane.messages) for name, lane in status.lanes.items()}
    work_s = None
    if work_per_check_s is not None or not any(checks.values()):
        work_s = {lane: n * (work_per_check_s or 0.0) for lane, n in checks.items()}
    return Signals(
        n_workers=len(workers),
        n_ready=sum(one.host in live for one in workers),
        oldest_age_s={Lane(name): lane.oldest_age_s for name, lane in status.lanes.items()},
        work_s=work_s,
        busy_share=sum(shares) / len(shares) if shares else None,
        busy_by_host=busy_by_host,
    )


class Autoscaler:
    """Scales when `step` is called, and is a collector for Prometheus.

    `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        name: str,
        policy: Policy,
        reader: SignalReader,
        driver: Driver,
        store: AutoscalerStore,
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._policy = policy
        self._reader = reader
        self._driver = driver
        self._store = store
        self._clock = clock
        self._state = State()
        self._last: tuple[Direction | None, str] = (None, "")
        self._change: tuple[str | None, float] = (None, 0.0)
        self._decisions: Counter[tuple[str, str]] = Counter()
        self._shown: dict[str, int | None] = {}

    def step(self) -> Decision:
        """Take one decision and act on it; only one of several autoscalers acts.

        Raises `TransportError` where the server is down: then nothing is done, and the cooldown
        starts again.
        """
        try:
            acts = self._store.lock(self._name)
        except RiskTasksError:
            self._state, _ = decide(self._policy, self._state, None, self._clock())
            raise
        if not acts:
            self._state, decision = State(), Decision(Direction.HOLD, "standby", None)
            self._count(None, decision)
            return decision
        workers, signals = self._read()
        self._state, decision = decide(self._policy, self._state, signals, self._clock())
        self._count(signals, decision)
        if signals is not None and decision.wanted is not None:
            self._act(decision, decision.wanted, workers, signals)
        self._store.write(self._report(decision, signals))
        return decision

    def collect(self) -> list[Metric]:
        """Return the metrics; the number of workers is absent where it is not known."""
        decisions = CounterMetricFamily(
            "risk_tasks_autoscaler_decisions",
            "Steps by decision and reason.",
            labels=["direction", "reason"],
        )
        for labels, n in sorted(self._decisions.copy().items()):
            decisions.add_metric(labels, n)
        shown = {
            **self._shown,
            "min_workers": self._policy.min_workers,
            "max_workers": self._policy.max_workers,
        }
        gauges = [
            GaugeMetricFamily(f"risk_tasks_autoscaler_{name}", _GAUGES[name], value=value)
            for name, value in shown.items()
            if value is not None
        ]
        return [*gauges, decisions]

    def _read(self) -> tuple[Sequence[Worker], Signals | None]:
        try:
            workers = self._driver.workers()
            return workers, self._reader.read(workers)
        except RiskTasksError as error:
            log.warning("autoscaler.no_signals", error=str(error))
            return [], None

    def _act(
        self, decision: Decision, wanted: int, workers: Sequence[Worker], signals: Signals
    ) -> None:
        before = after = len(workers)
        try:
            while after < wanted:
                log.info("autoscaler.added", worker=self._driver.add())
                after += 1
            if after > wanted:
                drained = idlest(workers, signals.busy_by_host)
                self._driver.drain(drained)
                log.info("autoscaler.draining", worker=drained.name)
                after -= 1
        except EngineError as error:
            log.warning("autoscaler.failed", wanted=wanted, error=str(error))
        if after != before:
            self._change = (f"{before} -> {after}: {decision.reason}", self._clock())

    def _count(self, signals: Signals | None, decision: Decision) -> None:
        """Count the decision; log it where it is new, or changes the number of workers."""
        self._decisions[decision.direction.value, decision.reason] += 1
        self._shown = {
            "workers": signals.n_workers if signals else None,
            "wanted_workers": decision.wanted,
        }
        current = (decision.direction, decision.reason)
        if decision.direction is not Direction.HOLD or current != self._last:
            log.info(
                "autoscaler.decided",
                direction=decision.direction.value,
                reason=decision.reason,
                wanted=decision.wanted,
                **({"ready": signals.n_ready, **signals.totals()} if signals else {}),
            )
        self._last = current

    def _report(self, decision: Decision, signals: Signals | None) -> AutoscalerReport:
        nothing = dict.fromkeys(("workers", "oldest_age_s", "work_s", "busy_share"))
        change, at_s = self._change
        return AutoscalerReport(
            name=self._name,
            driver=self._driver.name,
            direction=decision.direction.value,
            reason=decision.reason,
            wanted=decision.wanted,
            min_workers=self._policy.min_workers,
            max_workers=self._policy.max_workers,
            last_change=change,
            last_change_ago_s=None if change is None else self._clock() - at_s,
            **(signals.totals() if signals else nothing),
        )


def run_autoscaler(settings: AutoscalerSettings) -> int:
    """Scale until SIGTERM or SIGINT, wait for the drained workers, and return the exit code."""
    configure_logs(settings.log_level, settings.log_format)
    policy = settings.policy()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    name = unique_name("autoscaler")
    client = connect(settings.broker_url.get_secret_value())
    store, driver = AutoscalerStore(client), _driver(settings, client)
    autoscaler = Autoscaler(name, policy, SignalReader(client), driver, store, time.monotonic)
    heartbeat = Heartbeat(settings.heartbeat_file)
    endpoint = open_endpoint(settings, "autoscaler", autoscaler)
    bounds = {"min_workers": policy.min_workers, "max_workers": policy.max_workers}
    fields = {**bounds, **endpoint_fields(endpoint)}
    log.info("autoscaler.ready", name=name, driver=driver.name, **fields)
    while not stopped.is_set():
        try:
            autoscaler.step()
        except RiskTasksError as error:
            log.warning("autoscaler.no_signals", error=str(error))
        heartbeat.beat()
        stopped.wait(settings.autoscaler_every_s)
    driver.close()
    try:
        store.unlock(name)
    except TransportError as error:
        log.warning("autoscaler.not_unlocked", error=str(error))
    if endpoint is not None:
        endpoint.close()
    log.info("autoscaler.stopped", name=name)
    return 0


def _driver(settings: AutoscalerSettings, client: redis.Redis) -> Driver:
    if settings.autoscaler_driver == "dry-run":
        return DryRunDriver(RoleStore(client).running)
    engine = Engine(settings.autoscaler_socket)
    project = settings.autoscaler_project or own_project(engine, socket.gethostname())
    return DockerDriver(engine, project, settings.autoscaler_service)
