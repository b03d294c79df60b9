"""The gateways behind nginx, with the token of `make secrets`."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

import pytest

from tests.compose.stack import ROOT, docker, eventually


@pytest.fixture
def send(stack, ports):
    """Sends a request through nginx and returns its status and its JSON."""
    token = (ROOT / "secrets" / "gateway_token").read_text()

    def call(method, path, body=None, **headers):
        request = urllib.request.Request(
            f"http://127.0.0.1:{ports['gateway']}{path}",
            None if body is None else json.dumps(body).encode(),
            {
                "Content-Type": "application/json",
                "Authorization": f"Bearer {token}",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    eventually(lambda: call("GET", "/readyz")[0] == 200, 60, "a gateway that is ready")
    return call


CHECK = {"portfolios": [{"id": "p", "positions": {"AAPL": 1}, "nav": 1e6}]}


def test_a_check_needs_the_token(send):
    status, answer = send("POST", "/v1/checks", CHECK)
    assert (status, answer["reports"][0]["portfolio_id"]) == (200, "p")

    status, problem = send("POST", "/v1/checks", CHECK, Authorization="Bearer no")
    assert (status, problem["code"]) == (401, "unauthorized")


def test_callers_do_not_notice_that_a_gateway_is_killed(stack, send):
    """The other one answers requests with an idempotency key; so does the first once restarted."""
    for service in ("gateway-1", "gateway-2"):
        (one,) = stack.containers(service)
        docker("kill", "--signal", "KILL", one.id)
        for number in range(40):
            key = f"{service}-{number}-{time.time()}"
            assert send("POST", "/v1/checks", CHECK, Idempotency_Key=key)[0] == 200
        docker("start", one.id)
        eventually(lambda: stack.containers(service)[0].health == "healthy", 60, service)  # noqa: B023
        time.sleep(4)  # nginx looks for new addresses every two seconds
