"""Write the parts of the documentation that repeat the code: `make docs`.

A page marks each such part with `<!-- NAME: written by make docs -->` and `<!-- end -->`. `PARTS`
names the function that writes it; `tests/unit/test_docs.py` compares the pages with the code.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import Any

import typer

from benchmarks.libraries.table import libraries_markdown
from risk_tasks import errors, keys
from risk_tasks.cli import app
from risk_tasks.http.application import OPERATIONS
from risk_tasks.http.openapi import openapi_document
from risk_tasks.model.registry import MEASURES
from risk_tasks.render.definitions import measures_markdown
from risk_tasks.settings import PREFIX, Settings
from workers.autoscaler.settings import AutoscalerSettings

DOCS = Path(__file__).parent
_LIVE_KEYS = ("risk:live", "risk:breaches")


def live_keys() -> str:
    """Return the rows of the table of keys that live portfolios have."""
    return _keys(lambda key: key.startswith(_LIVE_KEYS))


def other_keys() -> str:
    """Return the other rows of the table of keys."""
    return _keys(lambda key: key.startswith("risk") and not key.startswith(_LIVE_KEYS))


def _keys(is_wanted: Callable[[str], bool]) -> str:
    lines = (keys.__doc__ or "").splitlines()
    rows = [line.split(maxsplit=2) for line in lines if re.match(r"risk[.:]\S+ +\w+ +\S", line)]
    wanted = ((f"`{row[0]}`", row[1], row[2]) for row in rows if is_wanted(row[0]))
    return _table(("key", "type", "content; how long it is kept"), wanted)


def settings() -> str:
    """Return a row for each setting of roles, commands and clients."""
    return _settings(Settings, Settings.model_fields)


def autoscaler_settings() -> str:
    """Return a row for each setting that only the autoscaler reads."""
    own = {
        name: field
        for name, field in AutoscalerSettings.model_fields.items()
        if name not in Settings.model_fields
    }
    return _settings(AutoscalerSettings, own)


def _settings(kind: type, fields: Mapping[str, Any]) -> str:
    comments = _comments(inspect.getsource(kind))
    rows = []
    for name, field in fields.items():
        default = field.default
        shown = getattr(default, "get_secret_value", lambda value=default: value)()
        shown = "" if shown in {None, ""} else f"`{shown}`"
        rows.append((f"`{PREFIX}{name.upper()}`", shown, _range(field), comments[name]))
    return _table(("variable", "default", "accepted", "meaning"), rows)


def _comments(source: str) -> dict[str, str]:
    """Return the `#:` comment of each field; a field without one shares that of the field above."""
    found: dict[str, str] = {}
    comment: list[str] = []
    for line in map(str.strip, source.splitlines()):
        if line.startswith("#:"):
            comment.append(line.removeprefix("#:").strip())
        elif field := re.match(r"(\w+): \S.*", line):
            found[field[1]] = " ".join(comment) or next(reversed(found.values()), "")
            comment = []
    return found


def _range(field: Any) -> str:
    bounds = {type(one).__name__.lower(): one for one in field.metadata}
    if "_pydanticgeneralmetadata" in bounds:
        pattern = getattr(bounds["_pydanticgeneralmetadata"], "pattern", "") or ""
        return ", ".join(f"`{one}`" for one in pattern.strip("^$()").split("|") if one)
    signs = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))
    limits = [f"{word} {getattr(bounds[key], key):g}" for key, word in signs if key in bounds]
    return ", ".join(limits)


def error_table() -> str:
    """Return a row for each class of error: its docstring is its message and its remedy."""
    rows = []
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.RiskTasksError):
            message, _, remedy = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")
            retriable = "yes" if kind.retriable else ""
            rows.append((f"`{kind.code}`", f"`{kind.__name__}`", message, remedy, retriable))
    return _table(("code", "class", "message", "remedy", "retriable"), rows)


def commands() -> str:
    """Return a section for each command with its arguments and options."""
    return "\n\n".join(_command(name, command) for name, command in all_commands())


def all_commands() -> Iterator[tuple[str, Any]]:
    """Yield the name and the click command of each command, subcommands included."""
    for name, command in typer.main.get_command(app).commands.items():
        if hasattr(command, "commands"):
            yield from ((f"{name} {sub}", each) for sub, each in command.commands.items())
        else:
            yield name, command


def _command(name: str, command: Any) -> str:
    params = [one for one in command.params if one.name != "help"]
    arguments = [_argument(one) for one in params if one.param_type_name == "argument"]
    usage = " ".join(("risk-tasks", name, *arguments, "[OPTIONS]"))
    parts = [f"## risk-tasks {name}", inspect.cleandoc(command.help or ""), f"```\n{usage}\n```"]
    if params:
        rows = map(_parameter, params)
        parts.append(_table(("argument or option", "default", "meaning"), rows))
    return "\n\n".join(parts)


def _argument(one: Any) -> str:
    shown = one.metavar or one.name.upper()
    if one.nargs != 1:
        shown += "..."
    return shown if one.required else f"[{shown}]"


def _parameter(one: Any) -> tuple[str, str, str]:
    kind = one.type_descriptor.annotation
    if one.param_type_name == "argument":
        name = f"`{_argument(one)}`"
    else:
        name = ", ".join(f"`{option}`" for option in (*one.opts, *one.secondary_opts))
        if isinstance(kind, type) and issubclass(kind, Enum):
            name += f" `{'|'.join(each.value for each in kind)}`"
    default = getattr(one.default, "value", one.default)
    is_shown = isinstance(default, str | int | float) and not isinstance(default, bool)
    return name, f"`{default}`" if is_shown and default != "" else "", (one.help or "").strip()


def http_operations() -> str:
    """Return a section for each operation of the gateway, from its OpenAPI document."""
    document = openapi_document(OPERATIONS, with_tokens=True)
    return "\n\n".join(
        _operation(f"{method.upper()} {path}", described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    )


def _operation(title: str, described: Mapping[str, Any]) -> str:
    parts = [f"### `{title}`", described["summary"]]
    if "description" in described:
        parts.append(described["description"])
    if "parameters" in described:
        rows = (
            (f"`{one['name']}`", one["in"], one["description"]) for one in described["parameters"]
        )
        parts.append(_table(("parameter", "in", "meaning"), rows))
    bodies = described.get("requestBody", {}).get("content", {})
    rows = [("request", media, _type(body["schema"]), "") for media, body in bodies.items()]
    responses = described["responses"]
    problems = [status for status in responses if int(status) >= HTTPStatus.BAD_REQUEST]
    for status in responses.keys() - problems:
        one = responses[status]
        for media, body in one.get("content", {}).items() or [("", {"schema": {}})]:
            rows.append((status, media, _type(body["schema"]), one["description"]))
    if problems:
        rows.append((", ".join(problems), "application/problem+json", "[Problem](#problem)", ""))
    parts.append(_table(("status", "media type", "schema", "meaning"), sorted(rows, key=_last)))
    return "\n\n".join(parts)


def _last(row: tuple[str, ...]) -> tuple[bool, str]:
    """Sort the request first, then statuses."""
    return row[0] != "request", row[0]


def http_schemas() -> str:
    """Return a section for each schema of the gateway's OpenAPI document."""
    document = openapi_document(OPERATIONS, with_tokens=True)
    sections = []
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts = [f"### {name}"]
        if schema.get("description"):
            parts.append(_one_line(schema["description"]))
        required = schema.get("required", ())
        rows = [
            (f"`{field}`", _type(one), "yes" if field in required else "", _note(one))
            for field, one in schema.get("properties", {}).items()
        ]
        names = ("field", "type", "required", "default")
        parts.append(_table(names, rows) if rows else f"One of {_type(schema)}.")
        sections.append("\n\n".join(parts))
    return "\n\n".join(sections)


def _note(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    return "" if default is None or default in ({}, []) else f"`{default}`"


def _type(schema: Any) -> str:
    """Return a JSON schema in a few words; schemas of components are links."""
    match schema:
        case {"$ref": str(target)}:
            name = target.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": [*kinds]}:
            return " or ".join(dict.fromkeys(map(_type, kinds)))
        case {"enum": [*values]}:
            return ", ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": items}:
            return f"array of {_type(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"object of {_type(values)}"
    return str(schema.get("type", "")) if isinstance(schema, dict) else "any"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_one_line, line)) + " |" for line in lines)


def _one_line(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))


#: page -> mark -> the function that writes the part between that mark and the next end
PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "reference/commands.md": {"commands": commands},
    "reference/errors.md": {"errors": error_table},
    "reference/http.md": {"operations": http_operations, "schemas": http_schemas},
    "reference/measures.md": {
        "measures": measures_markdown,
        "libraries": lambda: libraries_markdown(MEASURES),
    },
    "reference/redis-keys.md": {"keys": other_keys, "live keys": live_keys},
    "reference/settings.md": {"settings": settings, "autoscaler": autoscaler_settings},
}


def written(name: str) -> str:
    """Return the page of this name, with its parts generated again from the code."""
    page = (DOCS / name).read_text(encoding="utf-8")
    for mark, write in PARTS[name].items():
        found = re.compile(rf"(<!-- {mark}: .*? -->\n).*?(<!-- end -->)", re.DOTALL)
        if not found.search(page):
            raise ValueError(f"docs/{name} has no mark '{mark}'.")
        text = write()
        page = found.sub(lambda marks, text=text: f"{marks[1]}\n{text}\n\n{marks[2]}", page)
    return page


if __name__ == "__main__":
    for name in PARTS:
        (DOCS / name).write_text(written(name), encoding="utf-8")
