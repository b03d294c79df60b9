"""What the OpenAPI document promises, asked in ways that nobody thought of: schemathesis."""

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
def as_they_are(context: schemathesis.SerializationContext, value: object) -> bytes:
    """Bytes that are hardly ever a stream."""
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


def ask_each(api, ask, *, n: int, modes=tuple(GenerationMode)) -> int:
    """Ask `n` questions of each operation, of what its schema allows and of what it does not."""
    asked = 0
    for found in api.get_all_operations():
        for mode in modes:

            @given(case=found.ok().as_strategy(generation_mode=mode))
            @settings(max_examples=n, suppress_health_check=list(HealthCheck))
            def one(case):
                nonlocal asked
                asked += 1
                case.headers.pop("Authorization", None)
                ask(case)

            # Some have nothing that a schema could refuse.
            with suppress(Unsatisfiable):
                one()
    return asked


def test_there_is_no_server_error_and_no_answer_that_the_document_does_not_know(api):
    """With a token; whoever waits, waits long enough for a machine that is busy with tests."""

    def ask(case):
        if "X-Timeout-Ms" in case.headers:
            case.headers["X-Timeout-Ms"] = "30000"
        role = "operate" if case.path == "/metrics" else ROLE_OF.get(case.method, "check")
        case.call_and_validate(checks=CHECKS, headers=bearer(role))

    # What has no end is asked by tests that read a part of it.
    assert ask_each(api.exclude(operation_id="getBreaches"), ask, n=20) > 100


def test_nobody_gets_in_without_a_token(api):
    def ask(case):
        answer = case.call_and_validate(checks=CHECKS)
        if case.operation.definition.raw.get("security"):
            assert answer.status_code == 401

    assert ask_each(api, ask, n=4, modes=[GenerationMode.POSITIVE]) > 10
