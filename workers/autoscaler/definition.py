"""The definition of one more container of a service, out of one that is there."""

from __future__ import annotations

import re
from typing import Any

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
NUMBER, ONE_OFF = "com.docker.compose.container-number", "com.docker.compose.oneoff"
#: names a container that another took the place of
_REPLACED = "com.docker.compose.replace"


def one_more(told: dict[str, Any], number: int) -> tuple[str, dict[str, Any]]:
    """Return name and definition of container `number`, like the one that `told` inspects.

    Image, command, environment, labels, limits, mounts and networks are the same, so that Compose
    takes it for one of its own; what belongs to that one container is left out.
    """
    short_id = told["Id"][:12]
    config = {key: value for key, value in told["Config"].items() if key != "Hostname"}
    # By its id: what a tag names may have been built anew since.
    config["Image"] = told["Image"]
    config["Labels"] = {
        **{key: value for key, value in config["Labels"].items() if key != _REPLACED},
        NUMBER: str(number),
    }
    name = told["Name"].lstrip("/")
    host = {key: value for key, value in told["HostConfig"].items() if key != "ContainerIDFile"}
    networks = {
        network: {
            "Aliases": [
                alias for alias in joined.get("Aliases") or [] if alias not in {short_id, name}
            ]
        }
        for network, joined in told["NetworkSettings"]["Networks"].items()
    }
    body = {**config, "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": networks}}
    return re.sub(r"\d+$", "", name) + str(number), body
