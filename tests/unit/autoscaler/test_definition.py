"""One more container, out of what the engine tells of one."""

from __future__ import annotations

import copy

from workers.autoscaler.definition import one_more

ID = "0123456789abcdef" * 4
TOLD = {
    "Id": ID,
    "Name": "/risk-tasks_worker_12",
    "Image": "sha256:feed",
    "Config": {
        "Hostname": ID[:12],
        "Image": "risk-tasks/worker:dev",
        "Env": ["RISK_TASKS_LOG_LEVEL=info"],
        "StopTimeout": 30,
        "Labels": {
            "com.docker.compose.project": "risk-tasks",
            "com.docker.compose.service": "worker",
            "com.docker.compose.container-number": "12",
            "com.docker.compose.config-hash": "c0ffee",
            "com.docker.compose.replace": "old",
        },
    },
    "HostConfig": {
        "Memory": 1 << 30,
        "ReadonlyRootfs": True,
        "Binds": ["/secrets/broker_url:/run/secrets/broker_url:ro"],
        "NetworkMode": "risk-tasks_backend",
        "ContainerIDFile": "",
    },
    "NetworkSettings": {
        "Networks": {
            "risk-tasks_backend": {
                "Aliases": ["worker", ID[:12]],
                "IPAddress": "172.18.0.9",
                "MacAddress": "02:42:ac:12:00:09",
            }
        }
    },
}


def test_one_more_is_like_the_other_but_for_what_is_its_own():
    name, body = one_more(copy.deepcopy(TOLD), 3)

    assert name == "risk-tasks_worker_3"
    assert body["Image"] == "sha256:feed"
    assert body["Env"] == TOLD["Config"]["Env"]
    assert body["StopTimeout"] == 30
    assert "Hostname" not in body
    assert body["Labels"] == {
        "com.docker.compose.project": "risk-tasks",
        "com.docker.compose.service": "worker",
        "com.docker.compose.container-number": "3",
        "com.docker.compose.config-hash": "c0ffee",
    }
    assert body["HostConfig"] == {
        "Memory": 1 << 30,
        "ReadonlyRootfs": True,
        "Binds": ["/secrets/broker_url:/run/secrets/broker_url:ro"],
        "NetworkMode": "risk-tasks_backend",
    }
    assert body["NetworkingConfig"]["EndpointsConfig"] == {
        "risk-tasks_backend": {"Aliases": ["worker"]}
    }


def test_what_was_told_is_left_as_it_is():
    told = copy.deepcopy(TOLD)
    one_more(told, 3)

    assert told == TOLD


def test_names_of_compose_v2_are_counted_the_same_way():
    name, _ = one_more({**TOLD, "Name": "/risk-tasks-worker-1"}, 10)

    assert name == "risk-tasks-worker-10"
