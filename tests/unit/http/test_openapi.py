"""The document says what is served."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from risk_tasks.http import examples
from risk_tasks.http.documents import (
    CheckRequest,
    MarketRequest,
    PortfolioRequest,
    PositionsRequest,
)
from risk_tasks.http.openapi import openapi_document
from risk_tasks.http.operations import OPERATIONS
from risk_tasks.http.tokens import Role
from risk_tasks.wire.documents import LimitSetDocument

DOCUMENT = openapi_document(OPERATIONS, is_locked=True)


def test_every_reference_leads_to_a_schema():
    text = json.dumps(DOCUMENT)

    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert names <= set(DOCUMENT["components"]["schemas"])
    assert "Document" not in "".join(DOCUMENT["components"]["schemas"])


def test_operations_have_ids_of_their_own_and_say_what_they_need():
    ids = [one.id for one in OPERATIONS]
    assert len(set(ids)) == len(ids)
    for one in OPERATIONS:
        described = DOCUMENT["paths"][one.path][one.method.lower()]
        assert ("security" in described) == bool(one.roles)
        assert ("401" in described["responses"]) == bool(one.roles)
        placed = set(re.findall(r"{(\w+)}", one.path))
        assert placed == {each.name for each in one.parameters if each.place == "path"}
    assert {role for one in OPERATIONS for role in one.roles} == set(Role)


def test_without_tokens_nothing_asks_for_one():
    text = json.dumps(openapi_document(OPERATIONS, is_locked=False))

    assert "security" not in text
    assert '"401"' not in text


@pytest.mark.parametrize(
    ("example", "kind"),
    [
        (examples.ONE_CHECK, CheckRequest),
        (examples.MANY_CHECKS, CheckRequest),
        (examples.MARKET, MarketRequest),
        (examples.LIMITS, LimitSetDocument),
        (examples.LIVE_PORTFOLIO, PortfolioRequest),
        (examples.DELTAS, PositionsRequest),
    ],
)
def test_examples_are_of_their_shape(example, kind):
    msgspec.json.decode(json.dumps(example), type=kind)


def test_every_route_and_code_is_in_the_documentation():
    from pathlib import Path

    page = (Path(__file__).parents[3] / "docs" / "guides" / "http.md").read_text()
    for one in OPERATIONS:
        assert f"{one.method} {one.path}" in page, one.id
        for status in one.problems:
            assert str(status) in page
