"""Every role and client over each form of URL: a Unix socket, mutual TLS, and Sentinels."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from risk_tasks import RiskClient, read_market, sample
from risk_tasks.app import create_app
from risk_tasks.connection import connect
from risk_tasks.embedding import FleetPlan, running_fleet
from risk_tasks.embedding.fleet import free_port
from risk_tasks.errors import TransportError
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.settings import Settings
from tests.certificates import certify
from tests.integration.support import command, is_our_child, wait_until
from tests.programs import require

pytestmark = pytest.mark.integration

_BOOK = Portfolio("book", {"AAPL": 10.0})


@contextmanager
def process(*arguments: object) -> Iterator[int]:
    """Run a server until the end of the block, and yield its process id."""
    child = subprocess.Popen(
        list(map(str, arguments)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        yield child.pid
    finally:
        child.terminate()
        child.wait(timeout=10)


@contextmanager
def server(folder: Path, *arguments: object) -> Iterator[int]:
    folder.mkdir(exist_ok=True)
    with process(
        require("redis-server"), "--dir", folder, "--save", "", "--bind", "127.0.0.1", *arguments
    ) as pid:
        yield pid


@contextmanager
def on_a_socket(folder: Path) -> Iterator[tuple[str, int]]:
    path = folder / "r.sock"
    with server(folder, "--port", 0, "--unixsocket", path) as pid:
        yield f"unix://{path}?db=1", pid


@contextmanager
def over_tls(folder: Path) -> Iterator[tuple[str, int]]:
    """A server that accepts only clients with a certificate of our own CA."""
    certify(folder, "IP:127.0.0.1")
    port = free_port()
    files = {
        "--tls-cert-file": "server.crt",
        "--tls-key-file": "server.key",
        "--tls-ca-cert-file": "ca.crt",
    }
    named = [word for name, file in files.items() for word in (name, folder / file)]
    with server(folder, "--port", 0, "--tls-port", port, *named) as pid:
        options = f"ssl_ca_certs={folder}/ca.crt&ssl_certfile={folder}/client.crt"
        yield f"rediss://127.0.0.1:{port}/0?{options}&ssl_keyfile={folder}/client.key", pid


@contextmanager
def behind_sentinels(folder: Path) -> Iterator[tuple[str, int]]:
    """A primary with a password, and two Sentinels that watch it."""
    port = free_port()
    with ExitStack() as stack:
        pid = stack.enter_context(server(folder, "--port", port, "--requirepass", "pw"))
        ports = [free_port(), free_port()]
        for one in ports:
            configuration = folder / f"{one}.conf"
            configuration.write_text(
                f"port {one}\nbind 127.0.0.1\ndir {folder}\n"
                f"sentinel monitor primary 127.0.0.1 {port} 2\n"
                "sentinel auth-pass primary pw\n"
            )
            stack.enter_context(process(require("redis-server"), configuration, "--sentinel"))
        hosts = ",".join(f"127.0.0.1:{one}" for one in ports)
        yield f"sentinel://:pw@{hosts}/primary/0", pid


def answers(url: str) -> redis.Redis:
    """Return a client of the server at `url` as soon as it answers."""
    client = connect(url)

    def is_there() -> bool:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False

    wait_until(is_there, 10, f"an answer of {url}")
    return client


def findings(url: str) -> list[dict[str, str]]:
    """Return what `doctor` finds, whether it is bad or not."""
    found: list[dict[str, str]] = json.loads(
        command("doctor", "--json", "--broker-url", url).stdout
    )
    return found


@pytest.mark.parametrize("form", [on_a_socket, over_tls, behind_sentinels])
def test_every_role_and_client_works_over_each_form(form, tmp_path):
    """Client, worker, scheduler, Celery's door, its result backend, RedBeat, and `doctor`."""
    with form(tmp_path) as (url, pid), answers(url) as client:
        assert client.info("server")["process_id"] == pid
        assert is_our_child(pid)
        with running_fleet(FleetPlan(n_workers=1, scheduler=True), url), RiskClient(url) as risk:
            risk.publish_market(read_market(sample.PRICES))
            assert risk.check(_BOOK, timeout_s=30).status == "ok"

            app = create_app(Settings.read(broker_url=url))
            portfolio = {"id": "book", "positions": {"AAPL": 10.0}}
            task = app.send_task("risk.check", kwargs={"portfolio": portfolio}, queue="risk.normal")
            assert task.get(timeout=20)["status"] == "ok"
            wait_until(lambda: client.exists("redbeat::lock"), 15, "the lock of RedBeat")

            found = findings(url)
        assert {row["subject"] for row in found if row["state"] == "bad"} == set()


def test_a_certificate_of_another_ca_is_refused_by_default(tmp_path):
    """The error and `doctor` name the certificate, and say what to do."""
    with over_tls(tmp_path) as (url, _), answers(url):
        unverified = url.replace("ssl_ca_certs", "ssl_certfile", 1).split("?")[0]
        with (
            pytest.raises(TransportError, match="ssl_ca_certs=FILE"),
            RiskClient(unverified) as risk,
        ):
            risk.check(_BOOK)

        [found] = findings(unverified)

    assert "certificate verify failed" in found["found"]
    assert "ssl_ca_certs" in found["remedy"]


def test_doctor_names_the_cause_in_the_terms_of_the_server(tmp_path):
    """A server that answers is never to be started."""

    def remedy(url: str) -> str:
        [found] = findings(url)
        return found["remedy"]

    primary, replica = free_port(), free_port()
    with (
        server(tmp_path / "one", "--port", primary, "--requirepass", "pw"),
        server(
            *(tmp_path / "two", "--port", replica, "--replicaof", f"127.0.0.1 {primary}"),
            *("--masterauth", "pw"),
        ),
        answers(f"redis://:pw@127.0.0.1:{primary}/0") as client,
        answers(f"redis://127.0.0.1:{replica}/0"),
    ):
        assert "Give the password" in remedy(f"redis://127.0.0.1:{primary}/0")
        assert "Correct the user or the password" in remedy(f"redis://:no@127.0.0.1:{primary}/0")
        assert "this server is a replica" in remedy(f"redis://127.0.0.1:{replica}/0")
        assert "this port does not use TLS" in remedy(f"rediss://127.0.0.1:{primary}/0")
        client.config_set("maxmemory", 1)
        assert "memory is full" in remedy(f"redis://:pw@127.0.0.1:{primary}/0")
        client.config_set("maxmemory", 0)
        client.config_set("min-replicas-to-write", 3)
        time.sleep(0.1)
        assert "too few follow" in remedy(f"redis://:pw@127.0.0.1:{primary}/0")
