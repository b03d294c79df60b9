"""The expressions in `deploy/`, and the names of the metrics in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "risk-tasks.json"
SCALED_OBJECT = DEPLOY / "kubernetes" / "scaledobject.yaml"

_WORDS = {"and", "or", "unless", "offset", "bool"}


def rules() -> list[dict[str, Any]]:
    return [
        rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
    ]


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text())["panels"]


def queries() -> dict[str, dict[str, str]]:
    """Return the queries of KEDA by the name of their trigger."""
    triggers = yaml.safe_load(SCALED_OBJECT.read_text())["spec"]["triggers"]
    return {trigger["name"]: trigger["metadata"] for trigger in triggers}


def expressions() -> Iterator[tuple[str, str]]:
    """Return every expression by the name of its alert, panel or trigger."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for name, metadata in queries().items():
        yield f"KEDA {name}", metadata["query"]


def metrics_in(expression: str) -> set[str]:
    """Return the names that are not functions, labels or keywords of the language."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", bare)
    names = re.findall(r"(?<![\w:])[a-zA-Z_:][\w:]*(?![\w:]|\s*\()", bare)
    # The word before `by (...)` is an aggregation, which is a function.
    aggregations = re.findall(r"(\w+)\s+(?:by|without)\b", expression)
    return set(names) - _WORDS - set(aggregations)


def labels_in(expression: str) -> set[str]:
    """Return the labels that are matched or kept, with the values that they are compared with."""
    matched = re.findall(
        r"(\w+)\s*(?:=~|!~|!=|=)", " ".join(re.findall(r"\{([^}]*)\}", expression))
    )
    kept = re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", expression)
    return set(matched) | {label.strip() for labels in kept for label in labels.split(",")}
