"""The running stack: start-up times, health, hardening, and the commands in it."""

from __future__ import annotations

import json
import time

import pytest
import redis

from tests.compose.stack import ROOT, Container, eventually

SERVICES = [
    *("redis", "cache", "worker", "worker-critical", "beat", "flower"),
    *("gateway-1", "gateway-2", "nginx"),
]


@pytest.fixture(scope="module", autouse=True)
def one_worker(stack):
    """Scale to one worker."""
    stack.scale(1)
    stack.await_ready(1)


def test_the_first_answer_comes_soon_after_up(stack, full, figures):
    """The fixture of the stack measures the time from `up` to the first answered check.

    The bound of the full size holds on an idle machine; at small size the bound is loose.
    """
    held = json.loads((ROOT / "build" / "compose.json").read_text())

    assert held["up_to_first_answer_s"] <= (15 if full else 120)


def test_a_worker_is_ready_soon_after_it_starts(stack, full, figures):
    """Measured on a worker that joins: at `up` all parts start at once, on the same cores."""
    at_up = [_ready_s(worker) for worker in stack.await_ready(1)]
    stack.scale(2)
    joined = max(stack.await_ready(2), key=lambda one: one.started_at)
    took_s = _ready_s(joined)
    figures(worker_ready_s=round(took_s, 2), worker_ready_at_up_s=round(max(at_up), 2))
    ((_, compiled),) = joined.logged("worker.compiled")
    stack.scale(1)

    assert compiled["compiled"] == 0
    assert took_s <= (5 if full else 60)


def _ready_s(worker: Container) -> float:
    return worker.events("worker.ready", since=worker.started_at)[0] - worker.started_at


def test_every_part_becomes_healthy(stack):
    """Workers and schedulers by their heartbeat, servers by an answer."""

    def all_healthy():
        found = {one.name: one.health for one in stack.containers()}
        return found if set(found.values()) == {"healthy"} else None

    found = eventually(all_healthy, 90, "a healthy stack")
    assert len(found) == len(SERVICES)


def test_a_worker_that_does_not_consume_is_not_healthy(stack):
    """Though its process runs: only fetching messages renews the heartbeat."""
    (worker,) = stack.await_ready(1)
    code = (
        "from risk_tasks.app import create_app; from risk_tasks.settings import Settings;"
        "app = create_app(Settings.read());"
        "[app.control.{}(q, destination=[n]) for n in app.control.ping(timeout=3) for n in n"
        " if n.endswith('{}') for q in ('risk.critical', 'risk.normal', 'risk.batch')]"
    )
    run_code = ("run", "--rm", "-T", "--entrypoint", "python", "cli", "-c")
    host = worker.details["Config"]["Hostname"]

    assert stack.compose(*run_code, code.format("cancel_consumer", host)).returncode == 0
    eventually(lambda: stack.workers()[0].health == "unhealthy", 60, "an unhealthy worker")
    assert stack.workers()[0].state["Running"]

    assert stack.compose(*run_code, code.format("add_consumer", host)).returncode == 0
    eventually(lambda: stack.workers()[0].health == "healthy", 60, "a healthy worker")


@pytest.mark.parametrize("service", SERVICES)
def test_every_container_is_hardened(stack, service):
    for one in stack.containers(service):
        host, config = one.details["HostConfig"], one.details["Config"]
        assert config["User"] == "10001:10001"
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["Init"]
        assert host["Memory"] > 0
        assert host["NanoCpus"] > 0
        assert host["PidsLimit"] > 0


def test_passwords_are_only_in_files(stack):
    """No environment, command line or log has one."""
    secrets = [path.read_text().strip() for path in (ROOT / "secrets").iterdir()]
    passwords = [secret for secret in secrets if ":" not in secret]
    passwords += [secret.split(":")[2].split("@")[0] for secret in secrets if "://" in secret]

    assert len(passwords) >= 2
    for one in stack.containers():
        seen = json.dumps(one.details) + one.log()
        assert not any(password in seen for password in passwords), one.name


def test_only_flower_and_nginx_publish_a_port_and_only_on_loopback(stack, ports):
    published = {
        f"{one.details['Config']['Labels']['com.docker.compose.service']} {bound}"
        for one in stack.containers()
        for bindings in one.details["NetworkSettings"]["Ports"].values()
        for bound in [f"{each['HostIp']}:{each['HostPort']}" for each in bindings or []]
    }

    assert published == {
        f"flower 127.0.0.1:{ports['flower']}",
        f"nginx 127.0.0.1:{ports['gateway']}",
    }


def test_the_command_needs_only_docker_on_the_host(stack):
    """`docker compose run cli check ...`, with a book in a folder of the host."""
    book = f"{ROOT / 'risk_tasks' / 'sample' / 'books.toml'}:/work/books.toml:ro"

    done = stack.compose("run", "--rm", "-T", "--volume", book, "cli", *CHECK)

    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout)["reports"]
    assert len(reports) == 7
    assert {report["status"] for report in reports} == {"ok"}


CHECK = ["check", "/work/books.toml", "--json"]


def test_the_doctor_finds_no_problem(stack):
    done = stack.cli("doctor", "--json")

    found = {finding["subject"]: finding["state"] for finding in json.loads(done.stdout)}
    assert done.returncode == 0, done.stdout
    assert set(found.values()) == {"ok"}


def test_programs_on_the_host_reach_the_broker_through_the_local_profile(stack, ports):
    """With the password; the server itself publishes no port."""
    url = (
        (ROOT / "secrets" / "local_url").read_text().strip().replace(":6379", f":{ports['redis']}")
    )
    done = stack.compose("--profile", "local", "up", "--detach", "--no-build", "redis-local")
    assert done.returncode == 0, done.stderr
    try:
        with redis.Redis.from_url(url) as client:
            eventually(lambda: _answers(client), 20, "an answer by loopback")
        with redis.Redis(port=ports["redis"]) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("x")
    finally:
        stack.compose("--profile", "local", "rm", "--stop", "--force", "redis-local")


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.exists("risk:markets"))
    except redis.ConnectionError:
        return False


def test_two_schedulers_are_allowed(stack):
    """Both are healthy, and one of them can be removed again."""
    done = stack.compose(
        "up", "--detach", "--no-build", "--no-recreate", "--scale", "beat=2", "beat"
    )
    assert done.returncode == 0, done.stderr

    eventually(
        lambda: [one.health for one in stack.containers("beat")] == ["healthy"] * 2, 60, "two"
    )

    since = time.time()
    done = stack.compose(
        "up", "--detach", "--no-build", "--no-recreate", "--scale", "beat=1", "beat"
    )
    assert done.returncode == 0, done.stderr
    assert [code for _, code in stack.deaths(since, "beat")] == [0]
