"""Two gateways behind nginx with the configuration of the containers, one of which is killed."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from risk_tasks.embedding.fleet import free_port
from risk_tasks.http.checks import ONE_EXAMPLE
from risk_tasks.http.publishing import LIMITS_EXAMPLE
from tests.integration.gateways import JSON, RunningGateway, gateway, refused
from tests.integration.support import REPOSITORY, unique, wait_until
from tests.programs import require

pytestmark = pytest.mark.integration

N_KILLS, N_CALLERS = 2, 8
#: nginx uses a restarted gateway again within this time
_APART_S = 4

MAIN = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream gateways {{
    least_conn;
    {servers}
    keepalive 16;
  }}
  include gateway.conf;
}}
"""


@contextmanager
def nginx(folder: Path, ports: list[int]) -> Iterator[str]:
    """Run nginx in front of gateways at these ports, as the containers do; yield its URL."""
    program, port = require("nginx"), free_port()
    shutil.copy(REPOSITORY / "deploy" / "nginx" / "gateway.conf", folder)
    (folder / "listen.conf").write_text(f"listen 127.0.0.1:{port};")
    servers = " ".join(f"server 127.0.0.1:{one} max_fails=1 fail_timeout=1s;" for one in ports)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, servers=servers))
    log = folder / "nginx.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [program, "-p", folder, "-c", folder / "nginx.conf"], stdout=out, stderr=out
        )
    try:
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return httpx.get(f"{url}/livez").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, 20, "nginx")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def port_of(one: RunningGateway) -> int:
    return int(one.url.rpartition(":")[2])


async def _ask_until(url: str, stopped: asyncio.Event) -> list[tuple[str, int | str]]:
    """Send retryable requests in sequence and return their statuses."""
    found: list[tuple[str, int | str]] = []
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        while not stopped.is_set():
            for kind, method, path, body, headers in (
                ("check", "POST", "/v1/checks", ONE_EXAMPLE, {"Idempotency-Key": unique()}),
                ("limits", "PUT", "/v1/limits/behind", LIMITS_EXAMPLE, {}),
                ("ready", "GET", "/readyz", None, {}),
            ):
                try:
                    answer = await client.request(method, path, json=body, headers=headers)
                    found.append((kind, answer.status_code))
                except httpx.TransportError as error:
                    found.append((kind, repr(error)))
    return found


def test_repeated_kills_of_one_gateway_fail_no_retryable_request(fleet, tmp_path):
    """GET, PUT, and POST with an idempotency key are retryable."""

    async def main(url, running, stack):
        stopped = asyncio.Event()
        asking = [asyncio.create_task(_ask_until(url, stopped)) for _ in range(N_CALLERS)]
        for number in range(N_KILLS):
            await asyncio.sleep(_APART_S)
            doomed = running[number % 2]
            doomed.process.kill()
            await asyncio.to_thread(doomed.process.wait)
            again = gateway(fleet.url, tmp_path, port=port_of(doomed))
            running[number % 2] = await asyncio.to_thread(stack.enter_context, again)
        await asyncio.sleep(_APART_S)
        stopped.set()
        return Counter(one for found in await asyncio.gather(*asking) for one in found)

    with ExitStack() as stack:
        running = [stack.enter_context(gateway(fleet.url, tmp_path)) for _ in "12"]
        url = stack.enter_context(nginx(tmp_path, [port_of(one) for one in running]))
        found = asyncio.run(main(url, running, stack))

    assert {status for _, status in found} == {200}, found
    assert min(found.values()) > N_KILLS


def test_the_proxy_waits_for_the_timeout_of_the_request_and_reports_problems(server, tmp_path):
    """Without workers the 504 of the gateway arrives, not an earlier one of the proxy."""
    with (
        gateway(server.url, tmp_path) as alone,
        nginx(tmp_path, [port_of(alone)]) as url,
        httpx.Client(base_url=url, timeout=40) as client,
    ):
        started = time.monotonic()
        answer = client.post("/v1/checks", json=ONE_EXAMPLE, headers={"X-Timeout-Ms": "14000"})
        assert refused(answer, 504, "timeout")["check_id"]
        assert time.monotonic() - started >= 14
        as_json, large = {"Content-Type": JSON}, b" " * ((64 << 20) + 1)
        refused(client.post("/v1/checks", content=large, headers=as_json), 413, "too_large")
        assert client.get("/metrics").status_code == 404
        assert client.get("/-/short/once").status_code == 404
        alone.process.kill()
        alone.process.wait()
        gone = client.get("/readyz")
        refused(gone, 503, "transport")
        assert gone.headers["retry-after"] == "1"
