"""The manifests in `deploy/kubernetes`, and their validation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.unit.deploy.expressions import DEPLOY

FOLDER = DEPLOY / "kubernetes"
#: the versions whose schemas the validator has
VERSIONS = ("1.30", "1.37")
_KEDA = json.loads(Path(__file__).with_name("keda-scaledobject.schema.json").read_text())


def documents() -> Iterator[dict[str, Any]]:
    """Return every object, save the list of files."""
    for path in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] != "Kustomization":
                yield document


def pods() -> dict[str, dict[str, Any]]:
    """Return the pod template of each workload by its name."""
    return {
        document["metadata"]["name"]: document["spec"]["template"]
        for document in documents()
        if document["kind"] in {"Deployment", "StatefulSet"}
    }


def check(document: dict[str, Any], version: str = VERSIONS[-1]) -> None:
    """Raise `jsonschema.ValidationError` for an object that a cluster of `version` refuses."""
    if document["kind"] != "ScaledObject":
        kubernetes_validate.validate(document, version, strict=True)
        return
    jsonschema.validate(document, _KEDA, cls=jsonschema.Draft7Validator)
    behavior = document["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", **document["spec"]["scaleTargetRef"]}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": document["metadata"],
        "spec": {"maxReplicas": 1, "scaleTargetRef": target, "behavior": behavior},
    }
    kubernetes_validate.validate(scaler, version, strict=True)
