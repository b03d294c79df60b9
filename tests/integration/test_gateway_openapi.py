"""Generated requests (schemathesis): the gateway responds as its OpenAPI document states."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.integration.gateways import ARROW, RunningGateway, bearer, gateway, token_file

pytestmark = pytest.mark.integration

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
ROLE_OF = {
    "POST": "check",
    "PUT": "publish",
    "PATCH": "publish",
    "DELETE": "publish",
    "GET": "read",
}


@schemathesis.serializer(ARROW)
def raw_bytes(context: schemathesis.SerializationContext, value: object) -> bytes:
    """Return bytes, which are almost never a valid stream."""
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.fixture(scope="module")
def locked(fleet, tmp_path_factory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("openapi")
    tokens = {"RISK_TASKS_GATEWAY_TOKENS_FILE": str(token_file(folder))}
    with gateway(fleet.url, folder, tokens) as running:
        yield running


@pytest.fixture(scope="module")
def api(locked):
    return schemathesis.openapi.from_url(f"{locked.url}/openapi.json")


def request_each(api, send, *, n: int, modes=tuple(GenerationMode)) -> int:
    """Send `n` valid and `n` invalid requests to each operation; return their number."""
    sent = 0
    for found in api.get_all_operations():
        for mode in modes:

            @given(case=found.ok().as_strategy(generation_mode=mode))
            @settings(max_examples=n, suppress_health_check=list(HealthCheck))
            def one(case):
                nonlocal sent
                sent += 1
                case.headers.pop("Authorization", None)
                send(case)

            # Some schemas have no invalid values.
            with suppress(Unsatisfiable):
                one()
    return sent


def test_responses_are_documented_and_never_server_errors(api):
    """With a token, and with timeouts that are long enough for a busy machine."""

    def send(case):
        if "X-Timeout-Ms" in case.headers:
            case.headers["X-Timeout-Ms"] = "30000"
        role = "operate" if case.path == "/metrics" else ROLE_OF.get(case.method, "check")
        case.call_and_validate(checks=CHECKS, headers=bearer(role))

    # Other tests read the endless stream.
    assert request_each(api.exclude(operation_id="getBreaches"), send, n=20) > 100


def test_protected_operations_refuse_requests_without_a_token(api):
    def send(case):
        answer = case.call_and_validate(checks=CHECKS)
        if case.operation.definition.raw.get("security"):
            assert answer.status_code == 401

    assert request_each(api, send, n=4, modes=[GenerationMode.POSITIVE]) > 10
