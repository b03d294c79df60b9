"""The programs in examples/, run as a reader would run them, with real workers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from risk_tasks import Limit, LimitSet, Portfolio, RiskClient, read_market, sample
from risk_tasks.embedding import Fleet, FleetPlan, running_fleet
from tests.integration.support import REPOSITORY, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def system() -> Iterator[Fleet]:
    """A system of its own: the examples use the default market and the default limits."""
    with running_fleet(FleetPlan(n_workers=1, scheduler=True)) as fleet:
        with RiskClient(fleet.url) as risk:
            risk.publish_market(read_market(sample.PRICES))
            risk.publish_limits(LimitSet("desk", [Limit("gross_exposure", hard=1_000_000)]))
        yield fleet


def _environment(system: Fleet) -> dict[str, str]:
    return {
        **os.environ,
        "RISK_TASKS_BROKER_URL": system.url,
        "RISK_TASKS_TIMEOUT_S": "60",
        "PYTHONPATH": str(REPOSITORY),
    }


def _printed(system: Fleet, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=REPOSITORY,
        env=_environment(system),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def _service(system: Fleet) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "uvicorn", "examples.pretrade_service:app", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, *command, "--log-level", "warning"],
        cwd=REPOSITORY,
        env=_environment(system),
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, "the service ended"
        try:
            return httpx.get(f"{url}/openapi.json").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(answers, 60, "the service answers")
        yield url
    finally:
        process.terminate()
        process.wait(15)


def test_the_pre_trade_service_accepts_a_small_order_and_rejects_a_large_one(system: Fleet) -> None:
    with RiskClient(system.url) as risk:
        risk.set_portfolio(Portfolio("pretrade", {"AAPL": 100}, nav=2_500_000))

    def order(quantity: float, **fields: Any) -> httpx.Response:
        body = {"portfolio_id": "pretrade", "instrument": "AAPL", "quantity": quantity} | fields
        return httpx.post(f"{url}/orders", json=body, timeout=60)

    with _service(system) as url:
        wait_until(lambda: order(0).status_code == 200, 60, "the first check is answered in time")
        small, large = order(10), order(100_000)
        unknown = order(10, portfolio_id="nobody-set-this")

    assert small.json()["decision"] == "accept"
    assert large.status_code == 409
    assert "gross_exposure" in large.json()["detail"]["breaches"][0]
    assert unknown.status_code == 422


def test_the_overnight_batch_writes_a_row_for_each_portfolio_and_each_breach(
    system: Fleet, tmp_path: Any
) -> None:
    positions = pa.table(
        {
            "portfolio_id": ["a", "a", "b", "c"],
            "instrument": ["AAPL", "XOM", "AAPL", "KO"],
            "quantity": [100.0, -50.0, 100_000.0, 1.0],
        }
    )
    pq.write_table(positions, tmp_path / "positions.parquet")

    printed = _printed(
        system,
        "examples/overnight_batch.py",
        str(tmp_path / "positions.parquet"),
        str(tmp_path / "results"),
    )

    measures = pq.read_table(tmp_path / "results" / "measures.parquet")
    breaches = pq.read_table(tmp_path / "results" / "breaches.parquet")
    assert printed == "accept: 2\nreject: 1\n"
    assert measures["portfolio_id"].to_pylist() == ["a", "b", "c"]
    assert breaches["portfolio_id"].to_pylist() == ["b"]


def test_the_overnight_batch_keeps_the_rows_of_a_portfolio_together(tmp_path: Any) -> None:
    sys.path.insert(0, str(REPOSITORY))
    try:
        from examples import overnight_batch
    finally:
        sys.path.remove(str(REPOSITORY))
    ids = ["a", "a", "b", "b", "b", "b", "c"]
    pq.write_table(pa.table({"portfolio_id": ids}), tmp_path / "ids.parquet")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overnight_batch, "ROWS", 3)
        parts = [
            part["portfolio_id"].to_pylist()
            for part in overnight_batch.parts(tmp_path / "ids.parquet")
        ]

    assert parts == [["a", "a"], ["b", "b", "b", "b"], ["c"]]


def test_the_breach_listener_prints_each_change_of_a_limit(system: Fleet) -> None:
    with RiskClient(system.url) as risk:
        risk.set_portfolio(Portfolio("listened", {"AAPL": 100_000}, nav=2_500_000))

        printed = _printed(system, "examples/breach_listener.py", "--count", "1")

    assert printed.startswith("listened version 1: ")
    assert " ok -> hard " in printed


def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path: Any) -> None:
    notebook = json.loads((REPOSITORY / "examples" / "first_checks.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    results = 'print(report.decision, decisions["long-only"], sep="\\n")'
    script = tmp_path / "notebook.py"
    script.write_text("\n".join([*cells, results]))

    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=150, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("reject\naccept\n")
