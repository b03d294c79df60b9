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
    """What KEDA asks Prometheus, by the name of the trigger."""
    triggers = yaml.safe_load(SCALED_OBJECT.read_text())["spec"]["triggers"]
    return {trigger["name"]: trigger["metadata"] for trigger in triggers}


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression with the name of what it is for."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for name, metadata in queries().items():
        yield f"KEDA {name}", metadata["query"]


def metrics_in(expression: str) -> set[str]:
    """Every name that is neither a function, nor a label, nor a word of the language."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", bare)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", bare)
    names = re.findall(r"(?<![\w:])[a-zA-Z_:][\w:]*(?![\w:]|\s*\()", bare)
    # What stands before `by (...)` is an aggregation, and so a function.
    aggregations = re.findall(r"(\w+)\s+(?:by|without)\b", expression)
    return set(names) - _WORDS - set(aggregations)


def labels_in(expression: str) -> set[str]:
    """The labels that are matched or kept, with their values where they are compared."""
    matched = re.findall(
        r"(\w+)\s*(?:=~|!~|!=|=)", " ".join(re.findall(r"\{([^}]*)\}", expression))
    )
    kept = re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", expression)
    return set(matched) | {label.strip() for labels in kept for label in labels.split(",")}
