"""The examples of docs/guides/http.md in other languages are run as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.gateways import TOKENS, RunningGateway, gateway, token_file
from tests.integration.support import REPOSITORY
from tests.programs import require

pytestmark = pytest.mark.integration


PAGE = (REPOSITORY / "docs" / "guides" / "http.md").read_text()


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def locked(fleet, tmp_path_factory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("clients")
    tokens = {"RISK_TASKS_GATEWAY_TOKENS_FILE": str(token_file(folder))}
    with gateway(fleet.url, folder, tokens) as running:
        yield running


def printed(locked: RunningGateway, *command: str, token: str = TOKENS["check"]) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, "GATEWAY_URL": locked.url, "TOKEN": token},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return done.stdout if done.returncode == 0 else f"failed: {done.stderr}"


def node(locked: RunningGateway, code: str, **options: str) -> str:
    return printed(locked, require("node"), "--input-type=module", "--eval", code, **options)


def test_the_example_in_javascript_prints_a_decision(locked):
    (code,) = examples("javascript")

    assert node(locked, code) == "my-desk reject\n"


def test_the_example_in_javascript_prints_a_problem(locked):
    """Code and remedy for a wrong token."""
    (code,) = examples("javascript")

    assert "unauthorized: " in node(locked, code, token="wrong")


def java(locked: RunningGateway, folder: Path, **options: str) -> str:
    """Compile the example and run it."""
    (code,) = examples("java")
    (folder / "Check.java").write_text(code)
    compiled = [require("javac"), "-Xlint:all", "-Werror", "-d", str(folder)]
    assert printed(locked, *compiled, "--release", "11", str(folder / "Check.java")) == ""
    return printed(locked, require("java"), "-cp", str(folder), "Check", **options)


def test_the_example_in_java_prints_reports(locked, tmp_path):
    output = java(locked, tmp_path)

    assert output.startswith('200 {"reports":[{"portfolio_id":"my-desk"'), output


def test_the_example_in_java_prints_a_problem(locked, tmp_path):
    output = java(locked, tmp_path, token="wrong")

    assert output.startswith("401 "), output
    assert '"code":"unauthorized"' in output


def test_another_language_reads_the_reports_of_an_asynchronous_request(locked):
    """202, the location, and its reports; a repeated request gets the same location."""
    output = node(
        locked,
        """
        const headers = {"Content-Type": "application/json", Prefer: "respond-async",
          Authorization: `Bearer ${process.env.TOKEN}`, "Idempotency-Key": "node"};
        const body = JSON.stringify({portfolios: [{id: "p", positions: {AAPL: 1}}]});
        const url = `${process.env.GATEWAY_URL}/v1/checks`;
        const sent = await fetch(url, {method: "POST", headers, body});
        const again = await fetch(url, {method: "POST", headers, body});
        const there = await fetch(new URL(sent.headers.get("location"), url),
          {headers: {...headers, Prefer: "wait=20"}});
        const {reports} = await there.json();
        console.log(sent.status, again.headers.get("location") === sent.headers.get("location"),
          again.headers.get("idempotency-replayed"), there.status, reports[0].portfolio_id);
        """,
    )

    assert output == "202 true true 200 p\n"


def test_the_examples_in_python_run(locked):
    check, arrow = examples("python")

    assert printed(locked, sys.executable, "-c", check) == "my-desk reject\n"
    assert "value_at_risk" in printed(locked, sys.executable, "-c", arrow)


def test_the_example_with_curl_prints_reports(locked):
    """Old versions of curl lack --json."""
    (command,) = examples("sh")
    require("curl")
    command = command.replace("--json", "--header 'Content-Type: application/json' --data")

    assert '"reports":[{"portfolio_id":"my-desk"' in printed(locked, "sh", "-c", command)


def test_the_examples_of_live_portfolios_run_in_a_shell(fleet, tmp_path):
    """In their order, on a gateway without tokens; each succeeds."""
    require("curl")
    commands = examples("bash")[0].replace(
        "--json", "--header 'Content-Type: application/json' --data"
    )
    with gateway(fleet.url, tmp_path) as running:
        output = printed(running, "bash", "-ec", commands, token="")

    assert output.startswith('{"id":"fund-7","version":1}{"id":"fund-7","version":2}'), output
    assert '"current_version":2' in output
    assert output.endswith('{"id":"fund-7","version":2}')
