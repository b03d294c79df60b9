"""Operations: each handler with its route, roles, schemas and examples, and their OpenAPI document.

::

    operations = Operations()

    @operations.add("GET", "/v1/things", ResponseSpec(200, "Things.", (Content(JSON_TYPE, T),)))
    async def get_things(gateway: Gateway, request: Request) -> T:
        ...
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from itertools import chain
from typing import Any

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request

from risk_tasks.errors import InvalidSettingsError
from risk_tasks.http.authentication import Role
from risk_tasks.http.gateway import Gateway
from risk_tasks.http.problems import MEDIA_TYPE, RETRYABLE, ProblemDocument
from risk_tasks.model.live import LimitChange
from risk_tasks.model.report import Decision, ReportStatus
from risk_tasks.wire.documents import ReplayDocument, ScenarioDocument

Schema = dict[str, Any]
#: returns a response, or a document that becomes the JSON body of a 200
Handler = Callable[[Gateway, Request], Awaitable[object]]

TEXT: Schema = {"type": "string"}
BINARY: Schema = {"type": "string", "format": "binary"}
RETRY_AFTER = ("Retry-After", "seconds until a retry is useful")
#: schemas that no body of an operation names directly
_REFERENCED = (LimitChange, ProblemDocument, ReplayDocument, ScenarioDocument)
_PROBLEM_EXAMPLE = {
    "type": "urn:risk-tasks:problem:unknown_measure",
    "title": "unknown measure",
    "status": 422,
    "detail": "Unknown measure 'value_at_rsk'.",
    "code": "unknown_measure",
    "field": "measures",
    "remedy": "`risk-tasks measures` lists them all.",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter beside the body; `location` is path, query or header."""

    name: str
    location: str
    description: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Content:
    """A body of one media type, with examples by name."""

    media_type: str
    schema: type | Schema
    examples: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """A response, with the headers that a client uses."""

    status: int
    description: str
    content: tuple[Content, ...]
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; its id and its summary are the name and docstring of the handler.

    A token needs one of the `roles`; without roles an operation is public. `problems` are the
    statuses of errors beside 401 and 403.
    """

    handler: Handler
    id: str
    summary: str
    method: str
    path: str
    successes: tuple[ResponseSpec, ...]
    roles: tuple[Role, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    bodies: tuple[Content, ...] = ()
    problems: tuple[int, ...] = ()

    def check_query(self, query: QueryParams) -> None:
        """Raise `InvalidSettingsError` for a name that is not a parameter, or appears twice.

        An ignored option would silently change the answer.
        """
        known = [one.name for one in self.parameters if one.location == "query"]
        seen: set[str] = set()
        for name, _ in query.multi_items():
            if name not in known:
                raise InvalidSettingsError(
                    f"Unknown query parameter {name[:40]!r}: expected {_listed(known)}.",
                    field=name[:40],
                    remedy="Remove it, or correct its name.",
                )
            if name in seen:
                raise InvalidSettingsError(
                    f"The query has {name} twice.", field=name, remedy="Give it once."
                )
            seen.add(name)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


class Operations(list[Operation]):
    """The operations of one module in the order of their handlers."""

    def add(
        self, method: str, path: str, *successes: ResponseSpec, **options: Any
    ) -> Callable[[Handler], Handler]:
        """Return a decorator that adds its handler as an `Operation` with these options."""

        def decorate(handler: Handler) -> Handler:
            first, *others = handler.__name__.split("_")
            operation_id = first + "".join(map(str.capitalize, others))
            summary = " ".join((handler.__doc__ or "").partition("\n\n")[0].split())
            self.append(
                Operation(handler, operation_id, summary, method, path, successes, **options)
            )
            return handler

        return decorate


def openapi_document(operations: Iterable[Operation], *, with_tokens: bool) -> Schema:
    """Return the document; `with_tokens` says whether operations with roles require a token."""
    operations = list(operations)
    paths: dict[str, Schema] = {}
    for operation in operations:
        path = paths.setdefault(operation.path, {})
        path[operation.method.lower()] = _operation(operation, with_tokens)
    components: Schema = {"schemas": _schemas(operations)}
    if with_tokens:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "risk_tasks",
            "version": version("risk-tasks"),
            "description": "Computes the risk of a portfolio and the limits that it breaks. Losses "
            "are positive. A late answer, a missing price or a limit that could not be evaluated "
            "never reads as 'no breach'.",
        },
        "paths": paths,
        "components": components,
    }


def _operation(operation: Operation, with_tokens: bool) -> Schema:
    is_protected = with_tokens and bool(operation.roles)
    problems = {*operation.problems, *((401, 403) if is_protected else ())}
    responses = (*operation.successes, *map(_problem, sorted(problems)))
    described: Schema = {
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": {str(one.status): _response(one) for one in responses},
    }
    if operation.parameters:
        described["parameters"] = [
            {
                "name": one.name,
                "in": one.location,
                "description": one.description,
                "required": one.location == "path",
                "schema": one.schema,
            }
            for one in operation.parameters
        ]
    if operation.bodies:
        described["requestBody"] = {"required": True, "content": _contents(operation.bodies)}
    if is_protected:
        described["security"] = [{"token": []}]
        described["description"] = f"Roles: {' or '.join(operation.roles)}."
    return described


def _response(one: ResponseSpec) -> Schema:
    described: Schema = {"description": one.description, "content": _contents(one.content)}
    if one.headers:
        described["headers"] = {
            name: {"description": text, "schema": TEXT} for name, text in one.headers
        }
    return described


def _problem(status: int) -> ResponseSpec:
    is_example = status == HTTPStatus.UNPROCESSABLE_ENTITY
    examples = {"problem": _PROBLEM_EXAMPLE} if is_example else None
    content = Content(MEDIA_TYPE, ProblemDocument, examples)
    headers = (RETRY_AFTER,) if status in RETRYABLE else ()
    return ResponseSpec(status, HTTPStatus(status).phrase, (content,), headers)


def _contents(contents: Iterable[Content]) -> Schema:
    found: dict[str, Schema] = {}
    for one in contents:
        schema = one.schema if isinstance(one.schema, dict) else _ref(one.schema.__name__)
        found[one.media_type] = {"schema": schema}
        if one.examples:
            examples = {name: {"value": value} for name, value in one.examples.items()}
            found[one.media_type]["examples"] = examples
    return found


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name.removesuffix('Document')}"}


def _schemas(operations: Iterable[Operation]) -> Schema:
    kinds = dict.fromkeys(chain(_REFERENCED, *map(_kinds, operations)))
    _, found = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas: Schema = _public(found)
    schemas["RiskReport"] = _report(schemas["RiskReport"])
    return schemas


def _kinds(operation: Operation) -> Iterator[type]:
    answers = [content for success in operation.successes for content in success.content]
    for content in (*answers, *operation.bodies):
        if isinstance(content.schema, type):
            yield content.schema


def _public(node: Any) -> Any:
    """Return a schema with the public names of classes and descriptions without indentation."""
    match node:
        case dict():
            return {key.removesuffix("Document"): _public(value) for key, value in node.items()}
        case list():
            return [_public(one) for one in node]
        case str():
            return inspect.cleandoc(node).removesuffix("Document")
    return node


def _report(schema: Schema) -> Schema:
    """Return the schema of `report_document`, which has the fields of an error at its top level."""
    properties = dict(schema["properties"])
    del properties["error"]
    properties["status"] = {"enum": list(ReportStatus)}
    properties["decision"] = {"enum": list(Decision)}
    required = [name for name in properties if name != "explanation"]
    properties |= dict.fromkeys(("code", "message"), TEXT)
    properties |= {name: {"type": ["string", "null"]} for name in ("field", "remedy")}
    return {**schema, "properties": properties, "required": required}
