"""The manifests are valid, hardened and consistent; the tests use no cluster and no network."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import jsonschema
import pytest
import yaml

from risk_tasks.settings import PREFIX, Settings
from tests.unit.deploy.expressions import DEPLOY, SCALED_OBJECT
from tests.unit.deploy.manifests import FOLDER, VERSIONS, check, documents, pods

#: with the default of each variable
COMPOSE = yaml.safe_load(
    re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (DEPLOY.parent / "docker-compose.yml").read_text())
)
ALL = {f"{one['kind']}/{one['metadata']['name']}": one for one in documents()}
#: the names of the services in docker-compose.yml
SERVICE = {"scheduler": "beat"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ALL)
def test_each_manifest_is_valid_and_has_no_unknown_field(name, version):
    check(ALL[name], version)


def broken(name: str, *path: Any, value: object = None) -> dict[str, Any]:
    """Return a manifest with one field changed or removed."""
    document = copy.deepcopy(ALL[name])
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    if value is None:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return document


CONTAINER = ("spec", "template", "spec", "containers", 0)
BEHAVIOR = ("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior")


@pytest.mark.parametrize(
    "document",
    [
        broken("Deployment/worker", "spec", "selector"),
        broken("Deployment/worker", "spec", "replica", value=3),
        broken("Deployment/worker", *CONTAINER, "resource", value={}),
        broken("Deployment/worker", *CONTAINER, "ports", value=[{"containerPort": "9100"}]),
        broken("StatefulSet/redis", "spec", "volumeClaimTemplates", 0, "spec", "access", value=[]),
        broken("NetworkPolicy/risk-tasks", "spec", "podSelectors", value={}),
        broken("PodDisruptionBudget/worker", "spec", "maxUnavailable", value=[1]),
        broken("Secret/risk-tasks", "stringData", "broker_url", value=5),
        broken("ScaledObject/worker", "spec", "triggers", 0, "metadata", "threshold", value=2),
        broken("ScaledObject/worker", "spec", "triggers", 0, "metadata", "query"),
        broken("ScaledObject/worker", "spec", "maxReplicas", value=8),
        broken("ScaledObject/worker", *BEHAVIOR, "scaleDown", "policies", 0, "pods", value=1),
        broken("ScaledObject/worker", *BEHAVIOR, "scaledown", value={}),
    ],
    ids=str,
)
def test_an_invalid_manifest_is_refused(document):
    with pytest.raises(jsonschema.ValidationError):
        check(document)


@pytest.mark.parametrize("name", pods())
def test_each_pod_has_the_rights_and_bounds_of_its_compose_service(name):
    """User, file system, capabilities, image, memory, processor and grace period."""
    spec = pods()[name]["spec"]
    (container,) = spec["containers"]
    compose = COMPOSE["services"][SERVICE.get(name, name)]

    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert compose["image"].startswith(container["image"].removesuffix(":dev"))
    limits = container["resources"]["limits"]
    assert limits["memory"].lower().removesuffix("i") == compose["mem_limit"]
    cpus = limits["cpu"]
    cores = float(cpus[:-1]) / 1e3 if cpus.endswith("m") else float(cpus)
    assert cores == compose["cpus"]
    assert f"{spec['terminationGracePeriodSeconds']}s" == compose["stop_grace_period"]
    assert "readinessProbe" in container


def test_named_settings_and_secrets_exist():
    """Each file of a secret is mounted at the path in its setting."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    kept = set(ALL["Secret/risk-tasks"]["stringData"])
    for name, pod in pods().items():
        (container,) = pod["spec"]["containers"]
        mounted = {
            item["path"]
            for volume in pod["spec"]["volumes"]
            for item in volume.get("secret", {}).get("items", [])
        }
        assert mounted <= kept, name
        for variable in container.get("env", []):
            assert variable["name"].removesuffix("_FILE") in known, name
            if variable["name"].endswith("_FILE"):
                assert variable["value"].removeprefix("/run/secrets/") in mounted, name
    assert set(ALL["Secret/risk-tasks"]["stringData"].values()) == {""}


def test_every_selector_selects_something():
    """Services, budgets, policies and deployments by labels; the scaled object by name."""
    labels = [pod["metadata"]["labels"] for pod in pods().values()]
    for name, document in ALL.items():
        spec = document.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector") or {}
        wanted = selector.get("matchLabels", selector)
        assert not wanted or any(wanted.items() <= each.items() for each in labels), name
        for rule in selector.get("matchExpressions", []):
            assert set(rule["values"]) <= {each[rule["key"]] for each in labels}, name
    target = ALL["ScaledObject/worker"]["spec"]["scaleTargetRef"]["name"]
    assert "replicas" not in ALL[f"Deployment/{target}"]["spec"]


def test_the_kustomization_lists_every_file_save_the_template_and_the_scaled_object():
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    apart = {"kustomization.yaml", "secret.template.yaml", SCALED_OBJECT.name}

    assert sorted(listed) == sorted({path.name for path in FOLDER.glob("*.yaml")} - apart)
    assert "namespace" not in json.dumps([one["metadata"] for one in ALL.values()])
