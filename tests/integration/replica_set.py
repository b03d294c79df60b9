"""A primary, two replicas and three Sentinels as child processes; faults of the primary."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

from risk_tasks.connection import Server, connect
from risk_tasks.embedding.fleet import free_port
from tests.integration.partition import Partition
from tests.integration.support import wait_until
from tests.programs import require

NAME = "primary"
#: of the Sentinels, and the longest lag of a replica: a primary without replicas refuses writes
#: before another one is chosen
DOWN_AFTER_S, MAX_LAG_S = 5.0, 3


class Process:
    """A server or a Sentinel with a configuration that survives its restart."""

    def __init__(self, folder: Path, *, is_sentinel: bool = False, **config: object) -> None:
        self.port = free_port()
        self._file = folder / f"{self.port}.conf"
        data = folder / str(self.port)
        data.mkdir()
        named = {"port": self.port, "bind": "127.0.0.1", "dir": data, **config}
        lines = [f"{name.replace('_', '-')} {value}" for name, value in named.items()]
        self._file.write_text("\n".join(lines) + "\n")
        self._log = folder / f"{self.port}.log"
        self._mode = ["--sentinel"] if is_sentinel else []
        self._child: subprocess.Popen[bytes]
        self.start()

    def configure(self, *lines: str) -> None:
        with self._file.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def start(self) -> None:
        command = [require("redis-server"), str(self._file), *self._mode]
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._child.wait()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._child.pid, number)

    def stop(self) -> None:
        # Not by SIGTERM: a primary then waits for its replicas.
        if self._child.poll() is None:
            self.kill()


class Member(Process):
    """A server of the set. The others know it by the port of its partition, if it has one."""

    def __init__(self, folder: Path, *, partitioned: bool, min_replicas: int) -> None:
        super().__init__(
            folder,
            save='""',
            appendonly="yes",
            min_replicas_to_write=min_replicas,
            min_replicas_max_lag=MAX_LAG_S,
            repl_diskless_sync_delay=0,
        )
        self.partition = Partition(self.port) if partitioned else None
        self.address = self.port if self.partition is None else self.partition.port
        self.redis = redis.Redis(port=self.port, socket_timeout=5, decode_responses=True)
        wait_until(self.answers, 10, "a server")
        self.redis.config_set("replica-announce-ip", "127.0.0.1")
        self.redis.config_set("replica-announce-port", self.address)
        self.redis.config_rewrite()

    def answers(self) -> bool:
        return _answers(self.redis)

    def stop(self) -> None:
        if self.partition is not None:
            self.partition.close()
        super().stop()


class ReplicaSet:
    """The set; its first member is the primary at the start."""

    def __init__(
        self,
        folder: Path,
        *,
        partitioned: bool = False,
        min_replicas: int = 1,
        with_sentinels: bool = True,
    ) -> None:
        self._stack = ExitStack()
        self.members = [
            self._started(Member(folder, partitioned=partitioned, min_replicas=min_replicas))
            for _ in range(3)
        ]
        first, *others = self.members
        for other in others:
            other.redis.execute_command("REPLICAOF", "127.0.0.1", str(first.address))
        self.sentinels = []
        for _ in range(3 if with_sentinels else 0):
            watched = f"{NAME} 127.0.0.1 {first.address} 2"
            sentinel = Process(folder, is_sentinel=True, **{"sentinel monitor": watched})
            self.sentinels.append(self._started(sentinel))
        for sentinel in self.sentinels:
            client = self._client(sentinel)
            wait_until(lambda one=client: _answers(one), 10, "a Sentinel")
            for option, value in {
                "down-after-milliseconds": round(DOWN_AFTER_S * 1e3),
                "failover-timeout": 10_000,
            }.items():
                client.execute_command("SENTINEL", "SET", NAME, option, value)
        self.await_whole()

    @property
    def url(self) -> str:
        if not self.sentinels:
            return f"redis://127.0.0.1:{self.members[0].address}/0"
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        return f"sentinel://{hosts}/{NAME}/0"

    def connect(self, **options: int) -> Server:
        return connect(self.url, **options)

    def primary(self) -> Member:
        """Return the member that most Sentinels call the primary."""
        if not self.sentinels:
            return self.members[0]
        named = [self._named(one) for one in self.sentinels]
        address = max(set(named), key=named.count)
        return next(one for one in self.members if one.address == address)

    def await_promotion(self, old: Member) -> Member:
        """Return the new primary once all Sentinels name it and it takes writes."""

        def is_new() -> bool:
            named = {self._named(one) for one in self.sentinels}
            if len(named) != 1 or old.address in named:
                return False
            return self.primary().redis.info("replication")["role"] == "master"

        wait_until(is_new, 30, "another primary")
        return self.primary()

    def await_whole(self) -> None:
        """Wait until both replicas follow, and each Sentinel knows all."""

        def is_whole() -> bool:
            try:
                followers = self.primary().redis.info("replication")
                states = [followers.get(f"slave{n}", {}).get("state") for n in range(2)]
                lags = [followers.get(f"slave{n}", {}).get("lag", 9) for n in range(2)]
                known = [self._known(one) for one in self.sentinels]
            except redis.RedisError:
                return False
            return states == ["online"] * 2 and max(lags) <= 1 and set(known) <= {(2, 2, "master")}

        wait_until(is_whole, 60, "a whole set of replicas")

    def stop(self) -> None:
        self._stack.close()

    def _started(self, process: Process) -> Process:
        self._stack.callback(process.stop)
        return process

    def _client(self, sentinel: Process) -> redis.Redis:
        return redis.Redis(port=sentinel.port, socket_timeout=5, decode_responses=True)

    def _named(self, sentinel: Process) -> int:
        client = self._client(sentinel)
        return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1])

    def _known(self, sentinel: Process) -> tuple[int, int, str]:
        state = self._client(sentinel).sentinel_master(NAME)
        return state["num-slaves"], state["num-other-sentinels"], state["flags"]


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@contextmanager
def replica_set(folder: Path, **options: object) -> Iterator[ReplicaSet]:
    """Run a set until the end of the block."""
    folder.mkdir(exist_ok=True)
    running = ReplicaSet(folder, **options)
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def killed(old: Member) -> Iterator[None]:
    """Killed, and restarted by its supervisor."""
    old.kill()
    yield
    old.start()
    wait_until(old.answers, 10, "a restarted server")


@contextmanager
def paused(old: Member) -> Iterator[None]:
    """Stopped, as a virtual machine that is paused; it continues as a primary for some time."""
    old.signal(signal.SIGSTOP)
    yield
    old.signal(signal.SIGCONT)


@contextmanager
def split(old: Member) -> Iterator[None]:
    """Clients and workers still reach it; replicas and Sentinels do not."""
    old.partition.cut(clients=False)
    yield
    old.partition.heal()


@contextmanager
def isolated(old: Member) -> Iterator[None]:
    """No client reaches it; its connections hang."""
    old.partition.cut(clients=True)
    yield
    old.partition.heal()
