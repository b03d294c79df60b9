"""The autoscaler with a real engine: a step of load, under a policy with short times."""

from __future__ import annotations

import itertools
import json
import os
import time

import pytest

from tests.compose.conftest import AUTOSCALER
from tests.compose.stack import PROJECT, docker, eventually
from tests.compose.test_load import NOTHING, unharmed
from workers.autoscaler.drivers import DockerDriver, Engine, EngineError, Worker

SOCKET = os.environ.get("RISK_TASKS_DOCKER_SOCKET", "/var/run/docker.sock")
#: more than the workers can do: eight threads call without a pause
STEP = {"checks": 2_000, "calls_per_s": 1_000, "deadline_s": 120, "threads": 8, "tables": 1}
MOST = int(AUTOSCALER["RISK_TASKS_AUTOSCALER_MAX"])
MORE_WITHIN_S = 10.0
#: two workers are removed after a cooldown of 3 s each, once the load has left the window
BACK_WITHIN_S = 60.0
_LONGEST_S = 300


@pytest.fixture
def autoscaler(stack):
    """An autoscaler for one to three workers, and one worker before and after."""
    stack.scale(1)
    stack.await_ready(1)
    profile = ("--profile", "autoscale")
    done = stack.compose(*profile, "up", "--detach", "--no-build", "--no-deps", "autoscaler")
    assert done.returncode == 0, done.stderr
    eventually(lambda: stack.containers("autoscaler")[0].health == "healthy", 60, "an autoscaler")
    (container,) = stack.containers("autoscaler")
    yield container
    print(container.log())
    stack.compose(*profile, "stop", "autoscaler")
    stack.compose(*profile, "rm", "--force", "autoscaler")
    stack.scale(1)


def test_a_step_of_load_adds_workers_and_removes_them_again_without_loss(
    stack, autoscaler, figures
):
    """More workers within ten seconds, and one worker afterwards, with one change of direction."""
    (first,) = stack.await_ready(1)
    started = time.time()
    with stack.load(seconds=_LONGEST_S, **STEP) as load:
        peak = stack.await_ready(MOST, 120)
        time.sleep(5)
        listed = set(stack.compose("ps", "--quiet", "worker").stdout.split())
        status = json.loads(stack.cli("status", "--json").stdout)
        verdict = load.ended()
    ended_at = time.time()
    eventually(lambda: len(stack.containers("worker")) == 1, BACK_WITHIN_S, "one worker")
    back_s = time.time() - ended_at

    added = autoscaler.events("autoscaler.added", since=started)
    drained = autoscaler.events("autoscaler.draining", since=started)
    turns = sorted([(moment, "up") for moment in added] + [(moment, "down") for moment in drained])
    n_turns = sum(one != other for (_, one), (_, other) in itertools.pairwise(turns))
    began = first.events("block.finished", since=started)[0]
    codes = [code for _, code in stack.deaths(started, "worker")]
    figures(
        autoscaler={
            **verdict,
            "more_after_s": round(added[0] - began, 2),
            "back_after_s": round(back_s, 1),
            "turns": n_turns,
            "exit_codes": codes,
        }
    )
    assert unharmed(verdict) == NOTHING
    assert added[0] - began <= MORE_WITHIN_S
    assert len(added) == len(drained) == len(codes)
    assert n_turns == 1
    assert set(codes) == {0}
    assert {one.id for one in peak} <= listed
    assert {comparable(one.details) for one in peak} == {comparable(first.details)}
    assert status["autoscaler"]["workers"] == len(peak)
    assert status["autoscaler"]["last_change"] is not None


def comparable(details: dict) -> str:
    """Return what must be equal in all workers: what Compose compares, and the hardening."""
    own = {"com.docker.compose.container-number"}
    labels = {key: value for key, value in details["Config"]["Labels"].items() if key not in own}
    kept = {key: details["HostConfig"][key] for key in HARDENED}
    mounts = sorted((one["Source"], one["Destination"], one["RW"]) for one in details["Mounts"])
    networks = sorted(details["NetworkSettings"]["Networks"])
    environment = sorted(details["Config"]["Env"])
    return json.dumps(
        [labels, kept, mounts, networks, environment, details["Image"]], sort_keys=True
    )


HARDENED = (
    *("ReadonlyRootfs", "CapDrop", "CapAdd", "SecurityOpt", "Init", "Memory", "NanoCpus"),
    *("PidsLimit", "RestartPolicy", "NetworkMode", "LogConfig", "Tmpfs"),
)


def test_only_the_autoscaler_has_the_socket_and_it_is_hardened(stack, autoscaler):
    host = autoscaler.details["HostConfig"]
    having = {
        one.name
        for one in stack.containers()
        if any(mount["Source"].endswith("docker.sock") for mount in one.details["Mounts"])
    }

    assert having == {autoscaler.name}
    assert autoscaler.details["Config"]["User"] == "10001:10001"
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0


def test_the_driver_changes_no_container_of_another_service(stack):
    """Without a worker it has no definition to copy."""
    (beat,) = stack.containers("beat")
    driver = DockerDriver(Engine(SOCKET), PROJECT, "worker")

    with pytest.raises(EngineError, match="not drained"):
        driver.drain(Worker(beat.id, beat.name, beat.id[:12], 1))
    with pytest.raises(EngineError, match="No worker"):
        DockerDriver(Engine(SOCKET), PROJECT, "nobody").add()
    driver.close()
    assert stack.containers("beat")[0].state["Running"]
    assert docker("ps", "--quiet", "--filter", "name=nobody") == ""
