"""The OpenAPI document: of the table of operations, and of the classes that are read and told."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec

from risk_tasks.http import examples
from risk_tasks.http.described import Content, Operation, Parameter, Schema, Success, ref
from risk_tasks.http.documents import (
    CheckAccepted,
    CheckRequest,
    Health,
    Held,
    LivePortfolio,
    MarketRequest,
    PortfolioRequest,
    PositionsRequest,
    PublishedLimits,
    PublishedMarket,
)
from risk_tasks.http.problems import MEDIA_TYPE, ProblemDocument
from risk_tasks.model.live import LimitChange
from risk_tasks.model.report import Decision, ReportStatus, RiskReport
from risk_tasks.wire.documents import LimitSetDocument, ReplayDocument, ScenarioDocument

_KINDS = (
    CheckRequest,
    CheckAccepted,
    MarketRequest,
    PublishedMarket,
    PublishedLimits,
    Health,
    LimitSetDocument,
    ScenarioDocument,
    ReplayDocument,
    PortfolioRequest,
    PositionsRequest,
    Held,
    LivePortfolio,
    LimitChange,
    ProblemDocument,
    RiskReport,
)
_WITH_RETRY = {409, 429, 503}


def openapi_document(operations: Iterable[Operation], *, is_locked: bool) -> Schema:
    """Return the document; with `is_locked`, operations that have roles ask for a token."""
    paths: dict[str, Schema] = {}
    for operation in operations:
        described = _operation(operation, is_locked)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    components: Schema = {"schemas": _schemas()}
    if is_locked:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "risk_tasks",
            "version": version("risk-tasks"),
            "description": "What is the risk of this portfolio, and which limits does it break? "
            "Losses are positive. No answer in time, no price, a limit that could not be "
            "evaluated: none of them reads as 'no breach'.",
        },
        "paths": paths,
        "components": components,
    }


def _operation(operation: Operation, is_locked: bool) -> Schema:
    locked = bool(is_locked and operation.roles)
    problems = {*operation.problems, *((401, 403) if locked else ())}
    answers = {str(one.status): _success(one) for one in operation.successes}
    described: Schema = {
        "operationId": operation.id,
        "summary": operation.about,
        "responses": answers | {str(status): _problem(status) for status in sorted(problems)},
    }
    if operation.parameters:
        described["parameters"] = [_parameter(one) for one in operation.parameters]
    if operation.bodies:
        described["requestBody"] = {"required": True, "content": _contents(operation.bodies)}
    if locked:
        described["security"] = [{"token": []}]
        described["description"] = f"Roles: {' or '.join(operation.roles)}."
    return described


def _parameter(one: Parameter) -> Schema:
    return {
        "name": one.name,
        "in": one.place,
        "description": one.about,
        "required": one.place == "path",
        "schema": one.schema,
    }


def _contents(contents: Iterable[Content]) -> Schema:
    found: dict[str, Schema] = {}
    for one in contents:
        found[one.media_type] = {"schema": one.schema}
        if one.examples:
            found[one.media_type]["examples"] = {
                name: {"value": value} for name, value in one.examples
            }
    return found


def _success(one: Success) -> Schema:
    described: Schema = {"description": one.about, "content": _contents(one.content)}
    if one.headers:
        described["headers"] = _headers(dict(one.headers))
    return described


def _problem(status: int) -> Schema:
    shown = (("problem", examples.PROBLEM),) if status == HTTPStatus.UNPROCESSABLE_ENTITY else ()
    described: Schema = {
        "description": HTTPStatus(status).phrase,
        "content": _contents([Content(MEDIA_TYPE, ref("Problem"), shown)]),
    }
    if status in _WITH_RETRY:
        described["headers"] = _headers({"Retry-After": "seconds until it is worth another try"})
    return described


def _headers(about: Mapping[str, str]) -> Schema:
    return {
        name: {"description": text, "schema": {"type": "string"}} for name, text in about.items()
    }


def _schemas() -> Schema:
    _, found = msgspec.json.schema_components(_KINDS, ref_template="#/components/schemas/{name}")
    schemas: dict[str, Schema] = _renamed(found)
    schemas["RiskReport"] = _report(schemas["RiskReport"])
    stress = [ref("Scenario"), ref("Replay")]
    schemas["MarketRequest"]["properties"]["scenarios"]["additionalProperties"] = {"anyOf": stress}
    schemas["Reports"] = {
        "type": "object",
        "properties": {"reports": {"type": "array", "items": ref("RiskReport")}},
        "required": ["reports"],
    }
    schemas["LatestReport"] = {
        "type": "object",
        "description": "The report of `version`; a later current one is still being computed.",
        "properties": {
            "version": {"type": "integer"},
            "current_version": {"type": "integer"},
            "age_s": {"type": "number"},
            "report": ref("RiskReport"),
        },
        "required": ["version", "current_version", "age_s", "report"],
    }
    return schemas


def _renamed(node: Any) -> Any:
    """Return a schema under the names that callers see, with descriptions without their indent."""
    match node:
        case {"$ref": str(target)}:
            return {"$ref": target.removesuffix("Document")}
        case dict():
            return {key.removesuffix("Document"): _named(key, value) for key, value in node.items()}
        case list():
            return [_renamed(one) for one in node]
    return node


def _named(key: str, value: Any) -> Any:
    if isinstance(value, str) and key == "description":
        return inspect.cleandoc(value)
    if isinstance(value, str) and key == "title":
        return value.removesuffix("Document")
    return _renamed(value)


def _report(schema: Schema) -> Schema:
    """Return the schema of a report as `report_document` writes it: an error's parts at its top."""
    properties = dict(schema["properties"])
    del properties["error"]
    properties["status"] = {"enum": list(ReportStatus)}
    properties["decision"] = {"enum": list(Decision)}
    always = [name for name in properties if name != "explanation"]
    for name in ("code", "message"):
        properties[name] = {"type": "string"}
    for name in ("field", "remedy"):
        properties[name] = {"type": ["string", "null"]}
    return {**schema, "properties": properties, "required": always}
