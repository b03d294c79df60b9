"""What an operation is described by, for its route and for the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from risk_tasks.http.tokens import Role

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that is said beside the body; `place` is path, query or header."""

    name: str
    place: str
    about: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Content:
    """A body of one media type, with examples by name."""

    media_type: str
    schema: Schema
    examples: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Success:
    """An answer that is no problem; `headers` are those that a caller acts on."""

    status: int
    about: str
    content: tuple[Content, ...]
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `roles`: any of them suffices, none are asked for where empty."""

    id: str
    method: str
    path: str
    about: str
    successes: tuple[Success, ...]
    roles: tuple[Role, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    bodies: tuple[Content, ...] = ()
    #: statuses of problems beside those that the roles bring
    problems: tuple[int, ...] = ()


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
