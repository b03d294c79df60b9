"""What the OpenAPI document promises, asked in ways that nobody thought of: schemathesis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
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
ROLE_OF = {"POST": "check", "PUT": "publish", "GET": "read"}


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


document = schemathesis.pytest.from_fixture("api")


@document.parametrize()
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_there_is_no_server_error_and_no_answer_that_the_document_does_not_know(case):
    """With a token; whoever waits, waits long enough for a machine that is busy with tests."""
    case.headers.pop("Authorization", None)
    if "X-Timeout-Ms" in case.headers:
        case.headers["X-Timeout-Ms"] = "30000"
    role = "operate" if case.path == "/metrics" else ROLE_OF.get(case.method, "check")

    case.call_and_validate(checks=CHECKS, headers=bearer(role))


@document.parametrize()
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
def test_nobody_gets_in_without_a_token(case):
    case.headers.pop("Authorization", None)

    answer = case.call_and_validate(checks=CHECKS)

    if case.operation.definition.raw.get("security"):
        assert answer.status_code == 401
