"""The Docker driver over a fake engine, and the definition of a new container."""

from __future__ import annotations

import copy
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler

import pytest

from workers.autoscaler.drivers import DockerDriver, Engine, EngineError, Worker, copy_of

ID = "0123456789abcdef" * 4
INSPECTED = {
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


def test_a_copy_equals_the_container_except_for_its_identity():
    name, body = copy_of(copy.deepcopy(INSPECTED), 3)

    assert name == "risk-tasks_worker_3"
    assert body["Image"] == "sha256:feed"
    assert body["Env"] == INSPECTED["Config"]["Env"]
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


def test_the_inspected_container_is_not_changed():
    inspected = copy.deepcopy(INSPECTED)
    copy_of(inspected, 3)

    assert inspected == INSPECTED


def test_names_of_compose_v2_get_the_number_too():
    name, _ = copy_of({**INSPECTED, "Name": "/risk-tasks-worker-1"}, 10)

    assert name == "risk-tasks-worker-10"


class FakeEngine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers the API of an engine with two workers of one project and a container of another."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        super().__init__(path, FakeHandler)
        labels = INSPECTED["Config"]["Labels"] | {"com.docker.compose.oneoff": "False"}
        other = labels | {"com.docker.compose.service": "beat"}
        self.listed = [
            self.container("a" * 64, "worker_1", labels, created=1),
            self.container("b" * 64, "worker_2", labels, created=2),
            self.container("c" * 64, "beat_1", other, created=3),
        ]
        self.calls: list[tuple[str, str]] = []
        self.bodies: list[dict] = []
        self.fails_to_start = False

    @staticmethod
    def container(container_id, name, labels, created):
        number = {"com.docker.compose.container-number": name[-1]}
        return {
            "Id": container_id,
            "Names": [f"/{name}"],
            "State": "running",
            "Created": created,
            "Labels": labels | number,
        }

    def answer(self, method, path):
        """Return status and document of a call."""
        if path.startswith("/containers/json"):
            return 200, self.listed
        if path.endswith("/json"):
            container_id = path.split("/")[2]
            found = [one for one in self.listed if one["Id"].startswith(container_id)]
            if not found:
                return 404, {"message": "No such container"}
            config = INSPECTED["Config"] | {"Labels": found[0]["Labels"]}
            return 200, INSPECTED | {"Id": container_id, "Config": config}
        if "create" in path:
            return 201, {"Id": "d" * 64}
        if path.endswith("/start") and self.fails_to_start:
            return 500, {"message": "no space left"}
        return 204, None


class FakeHandler(BaseHTTPRequestHandler):
    def answer(self):
        self.server.calls.append((self.command, self.path))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if body:
            self.server.bodies.append(json.loads(body))
        status, document = self.server.answer(self.command, self.path)
        data = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if data:
            self.wfile.write(data)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names of the library

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"


@pytest.fixture
def engine(tmp_path):
    with FakeEngine(str(tmp_path / "engine.sock")) as engine:
        thread = threading.Thread(target=engine.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield engine
        engine.shutdown()
        thread.join()


@pytest.fixture
def driver(engine):
    return DockerDriver(Engine(engine.server_address), "risk-tasks", "worker")


def test_only_containers_with_the_labels_of_the_service_are_workers(driver):
    assert [worker.name for worker in driver.workers()] == ["worker_1", "worker_2"]


def test_a_new_worker_is_a_copy_of_the_newest_with_the_next_number(driver, engine):
    assert driver.add() == "risk-tasks_worker_3"

    assert engine.bodies[0]["Labels"]["com.docker.compose.container-number"] == "3"
    methods = [f"{method} {path.partition('?')[0]}" for method, path in engine.calls]
    assert methods == [
        "GET /containers/json",
        f"GET /containers/{'b' * 64}/json",
        "POST /containers/create",
        f"POST /containers/{'d' * 64}/start",
    ]


def test_a_container_that_does_not_start_is_removed(driver, engine):
    engine.fails_to_start = True
    with pytest.raises(EngineError, match="no space left"):
        driver.add()

    assert engine.calls[-1] == ("DELETE", f"/containers/{'d' * 64}")


def test_a_drained_worker_is_stopped_and_removed(driver, engine):
    worker = driver.workers()[1]
    driver.drain(worker)
    driver.close()

    assert engine.calls[-2:] == [
        ("POST", f"/containers/{worker.id}/stop"),
        ("DELETE", f"/containers/{worker.id}"),
    ]


def test_a_container_of_another_service_is_not_drained(driver, engine):
    with pytest.raises(EngineError, match="not a worker of this project"):
        driver.drain(Worker("c" * 64, "beat_1", "c" * 12, 1))

    assert {method for method, _ in engine.calls} == {"GET"}


def test_an_engine_that_is_down_is_an_engine_error(tmp_path):
    with pytest.raises(EngineError, match="FileNotFoundError"):
        DockerDriver(Engine(str(tmp_path / "none.sock")), "risk-tasks", "worker").workers()
