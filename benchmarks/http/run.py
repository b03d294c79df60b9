"""200 callers with one check each, compared with a no-op route; 10,000 checks in one POST."""

from __future__ import annotations

import http.client
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from benchmarks import inputs
from benchmarks.http.environment import HTTP
from benchmarks.http.load import load
from benchmarks.output import print_percentiles, print_rows, write
from risk_tasks.client import RiskClient
from risk_tasks.embedding import FleetPlan, running_fleet
from risk_tasks.embedding.fleet import free_port
from risk_tasks.http.arrow_streams import write_streams
from risk_tasks.http.bodies import ARROW_TYPE
from risk_tasks.wire.documents import portfolio_document

N_CALLERS, N_REQUESTS, N_ROUNDS = 200, 20, 5
N_IN_ONE, N_POSTS = 10_000, 20


def run() -> None:
    plan = FleetPlan(n_workers=2, critical_worker=True, scheduler=True, gateway=True)
    with running_fleet(plan) as fleet, RiskClient(fleet.url, timeout_s=30) as risk:
        risk.publish_market(inputs.market(250))
        assert fleet.gateway_url is not None
        port = int(fleet.gateway_url.rpartition(":")[2])
        with _noop() as noop_port:
            ms = _singles(port, noop_port)
        in_one = _in_one(port, risk)
    sizes = {"callers": N_CALLERS, "requests": N_REQUESTS, "rounds": N_ROUNDS, "checks": N_IN_ONE}
    write("http", sizes, ms | in_one)


def _singles(gateway_port: int, noop_port: int) -> dict[str, list[float]]:
    """Return the times of a check through the gateway and of the no-op, in alternation."""
    (portfolio,) = inputs.portfolios(1)
    body = msgspec.json.encode({"portfolios": [portfolio_document(portfolio)]})
    ways = {"a check": (gateway_port, "/v1/checks"), "a FastAPI no-op": (noop_port, "/noop")}
    ms: dict[str, list[float]] = {name: [] for name in ways}
    rates: dict[str, list[float]] = {f"{name}, requests per s": [] for name in ways}
    for number in range(N_ROUNDS + 1):
        for name, (port, path) in ways.items():
            found = load(port, path, body, n_callers=N_CALLERS, n_requests=N_REQUESTS)
            if number:  # the first warms up
                ms[name] += found.latencies_ms
                rates[f"{name}, requests per s"].append(found.per_s)
    print_percentiles(f"ms, {N_CALLERS} callers", ms)
    print_rows("requests per s", rates)
    p99 = {name: float(np.percentile(took, 99)) for name, took in ms.items()}
    print(f"a check's p99 is {p99['a check'] / p99['a FastAPI no-op']:.2f}x the no-op's")
    return ms | rates | {f"{name}, p99": [value] for name, value in p99.items()}


def _in_one(port: int, risk: RiskClient) -> dict[str, list[float]]:
    """Return the times of one POST of many checks and of `check_table`, in alternation."""
    table = inputs.table(N_IN_ONE, encoded=True)
    body = write_streams([table])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def post() -> pa.Table:
        connection.request("POST", "/v1/checks", body, {"Content-Type": ARROW_TYPE})
        answer = connection.getresponse()
        assert answer.status == http.client.OK
        return pa.ipc.open_stream(answer.read()).read_all()

    ways: dict[str, Callable[[], pa.Table]] = {
        "one POST": post,
        "check_table": lambda: risk.check_table(table),
    }
    assert ways["one POST"]().equals(ways["check_table"]())
    ms: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(N_POSTS):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            ms[name].append((time.perf_counter() - started) * 1e3)
    connection.close()
    print_rows(f"ms for {N_IN_ONE:,} checks", ms)
    middle = {name: statistics.median(took) for name, took in ms.items()}
    print(f"one POST is {middle['one POST'] / middle['check_table']:.2f}x check_table")
    return ms


@contextmanager
def _noop() -> Iterator[int]:
    port, script = free_port(), Path(__file__).parent / "noop.py"
    process = subprocess.Popen([HTTP.ensure(), script, str(port)])
    try:
        for _ in range(200):
            try:
                http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()
