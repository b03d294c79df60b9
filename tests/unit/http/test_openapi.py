"""The OpenAPI document describes the operations that are served."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from risk_tasks.http.application import OPERATIONS
from risk_tasks.http.authentication import Role
from risk_tasks.http.openapi import openapi_document

DOCUMENT = openapi_document(OPERATIONS, with_tokens=True)
GOLDEN = Path(__file__).with_name("openapi.json")


def without_prose(node: Any) -> Any:
    """Return a part of the document without its descriptions and summaries."""
    if isinstance(node, dict):
        return {
            key: without_prose(value)
            for key, value in node.items()
            if not (key in {"description", "summary"} and isinstance(value, str))
        }
    return [without_prose(one) for one in node] if isinstance(node, list) else node


def contract() -> dict[str, Any]:
    """Return operations and schemas, each under a name of its own."""
    document = without_prose(json.loads(msgspec.json.encode(DOCUMENT)))
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    return operations | document["components"]["schemas"]


def test_the_contract_equals_the_golden_file():
    """A difference concerns every client: note it in CHANGELOG.md when you change the file."""
    assert contract() == json.loads(GOLDEN.read_text())


def test_every_reference_points_to_a_schema():
    text = json.dumps(DOCUMENT)

    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert names <= set(DOCUMENT["components"]["schemas"])
    assert "Document" not in "".join(DOCUMENT["components"]["schemas"])


def test_operations_have_unique_ids_and_declare_roles_and_path_parameters():
    ids = [one.id for one in OPERATIONS]
    assert len(set(ids)) == len(ids)
    for one in OPERATIONS:
        described = DOCUMENT["paths"][one.path][one.method.lower()]
        assert described["summary"]
        assert ("security" in described) == bool(one.roles)
        assert ("401" in described["responses"]) == bool(one.roles)
        in_path = set(re.findall(r"{(\w+)}", one.path))
        assert in_path == {each.name for each in one.parameters if each.location == "path"}
    assert {role for one in OPERATIONS for role in one.roles} == set(Role)


def test_a_gateway_without_tokens_declares_no_security():
    text = json.dumps(openapi_document(OPERATIONS, with_tokens=False))

    assert "security" not in text
    assert '"401"' not in text


EXAMPLES = [
    (content.schema, value)
    for one in OPERATIONS
    for content in one.bodies
    for value in (content.examples or {}).values()
]


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_examples_match_their_schema(kind, example):
    msgspec.json.decode(json.dumps(example), type=kind)


def test_every_body_of_json_has_an_example():
    assert len(EXAMPLES) >= sum(bool(one.bodies) for one in OPERATIONS)


def test_every_route_and_status_is_documented():
    text = (Path(__file__).parents[3] / "docs" / "guides" / "http.md").read_text()
    for one in OPERATIONS:
        assert f"{one.method} {one.path}" in text, one.id
        for status in one.problems:
            assert str(status) in text
