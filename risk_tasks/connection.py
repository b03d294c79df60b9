"""Connections to the Redis server that fail soon instead of hanging."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from inspect import isfunction
from typing import Any

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from risk_tasks.errors import NotReplicatedError, TransportError
from risk_tasks.scripts import TooFewReplicasError
from risk_tasks.server_clock import ServerClock
from risk_tasks.server_url import ServerUrl

CONNECT_TIMEOUT_S = 0.8
#: how often a client asks the Sentinels whether its primary still is the primary
_ASK_EVERY_S = 1.0
#: the pause before a call is repeated on the primary of that time
_FAILOVER_PAUSE_S = 0.1

#: when the calls of this context give up, by the monotonic clock
_give_up_at: ContextVar[float | None] = ContextVar("give_up_at", default=None)


class Server(redis.Redis):
    """A client of a server, or of the primary that Sentinels name; `connect` makes it."""

    #: number of replicas that have the write of an acknowledged call when it returns
    replicas_required: int = 0
    #: how long a call is repeated while Sentinels choose another primary
    failover_s: float = 0.0


class _PrimaryPool(SentinelConnectionPool):
    """Asks the Sentinels once per second: a demoted primary may still answer this process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._asked_at = time.monotonic()

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() - self._asked_at > _ASK_EVERY_S:
            self._asked_at = time.monotonic()
            # Without an answer the connections of the last known primary are used.
            with suppress(redis.RedisError):
                self.get_master_address()  # type: ignore[no-untyped-call]
        return super().get_connection(*args, **kwargs)


def connect(
    url: str,
    *,
    socket_timeout_s: float = 1.8,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    n_retries: int = 1,
    max_connections: int = 100,
    replicas_required: int = 0,
    failover_s: float = 0.0,
) -> Server:
    """Return a client of the server at `url`; sends nothing yet.

    After a lost connection a command is retried `n_retries` times: every script may run twice; pass
    0 for commands that may not. With these timeouts an unreachable server raises an error within
    two seconds. With Sentinels, connections follow the primary, and calls of a `Store` are repeated
    for `failover_s` while it fails over. Acknowledged calls return when `replicas_required`
    replicas have their writes.

    Raises `TransportError` for an invalid URL.
    """
    client = _connect(
        ServerUrl.parse(url), socket_timeout_s, connect_timeout_s, n_retries, max_connections
    )
    client.replicas_required = replicas_required
    if isinstance(client.connection_pool, SentinelConnectionPool):
        client.failover_s = failover_s
    return client


def _connect(
    server: ServerUrl,
    socket_timeout_s: float,
    connect_timeout_s: float,
    n_retries: int,
    max_connections: int,
) -> Server:
    timeouts = {"socket_timeout": socket_timeout_s, "socket_connect_timeout": connect_timeout_s}
    options: dict[str, Any] = {
        **timeouts,
        "db": server.db,
        "username": server.username,
        "password": server.password,
        "max_connections": max_connections,
        "retry": Retry(ConstantBackoff(0.05), n_retries, supported_errors=(redis.ConnectionError,)),
    }
    if server.path is not None:
        return Server(unix_socket_path=server.path, **options)
    options |= {"socket_keepalive": True, **({"ssl": True, **server.tls} if server.tls else {})}
    if server.service is None:
        host, port = server.hosts[0]
        return Server(host=host, port=port, **options)
    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        server.hosts, sentinel_kwargs={**timeouts, **(server.sentinel_options or {})}
    )
    client: Server = sentinels.master_for(  # type: ignore[no-untyped-call]
        server.service, redis_class=Server, connection_pool_class=_PrimaryPool, **options
    )
    return client


@contextmanager
def transport_errors(client: redis.Redis) -> Iterator[None]:
    """Turn the errors of redis-py into `TransportError` with the server but without a password."""
    try:
        yield
    except TooFewReplicasError as error:
        raise NotReplicatedError(
            f"{error}.", confirmed=error.confirmed, required=error.required
        ) from error
    except redis.RedisError as error:
        says = "does not answer" if is_silent(error) else "refuses"
        message = f"The broker at {_address(client)} {says}: {str(error).rstrip('.')}."
        raise TransportError(message, remedy=remedy_of(error)) from error


#: what an error of the server contains, and what to do
_REMEDIES = (
    ("NOAUTH", "Give the password in the URL: redis://:PASSWORD@HOST:PORT/DB."),
    ("WRONGPASS", "Correct the user or the password in the URL; escape special characters by %."),
    ("NOPERM", "Give the user of the URL the right to this command and these keys."),
    ("READONLY", "Give the URL of the primary: this server is a replica."),
    ("MISCONF", "Free the disk of the server: it cannot write its snapshot and refuses writes."),
    ("OOM", "Raise maxmemory of the server, or remove data: its memory is full."),
    ("max number of clients", "Raise maxclients of the server, or close connections."),
    ("LOADING", "Wait: the server is reading its data."),
    ("NOREPLICAS", "Start the replicas: too few follow the primary, which refuses writes."),
    ("MASTERDOWN", "Wait, or start the primary: this replica has lost it."),
    ("MOVED", "Give a server that is not a cluster: one script uses keys of several slots."),
    ("CLUSTERDOWN", "Give a server that is not a cluster."),
    ("CROSSSLOT", "Give a server that is not a cluster: one script uses keys of several slots."),
    ("DB index is out of range", "Give a database that the server has, most often 0."),
    (
        "certificate verify failed",
        "Name the CA: ?ssl_ca_certs=FILE, and the host of the certificate.",
    ),
    ("certificate required", "Give a client certificate: ?ssl_certfile=FILE&ssl_keyfile=FILE."),
    ("WRONG_VERSION_NUMBER", "Write redis:// instead of rediss://: this port does not use TLS."),
    (
        "handshake operation timed out",
        "Write redis:// instead of rediss:// if this port does not use TLS.",
    ),
    ("reset by peer", "Write rediss:// if this port expects TLS."),
    ("Connection closed by server", "Write rediss:// if this port expects TLS."),
    ("No master found", "Correct the name of the primary in the URL, or start a primary."),
)


def remedy_of(error: redis.RedisError) -> str | None:
    """Return what to do about an error of the server in its own terms, or None."""
    found = f"{_code(error)} {error} {error.__context__}"
    for part, remedy in _REMEDIES:
        if part in found:
            return remedy
    return None


def is_silent(error: redis.RedisError) -> bool:
    """Whether the server did not answer, as opposed to answering with an error."""
    return (
        isinstance(error, redis.ConnectionError | redis.TimeoutError)
        and not isinstance(error, redis.AuthenticationError | redis.MaxConnectionsError)
        and not _code(error)
    )


def _code(error: redis.RedisError) -> str:
    """Return the code that redis-py took out of the text of an answer, or nothing."""
    return getattr(error, "status_code", None) or ""


def _address(client: redis.Redis) -> str:
    pool = client.connection_pool
    kwargs = pool.connection_kwargs
    if isinstance(pool, SentinelConnectionPool):
        return f"the Sentinels of {pool.service_name}"
    return kwargs.get("path") or f"{kwargs.get('host')}:{kwargs.get('port')}"


class Store:
    """Keys of one server; safe to share between threads.

    Public methods of its classes raise `TransportError` if the server does not answer: they run
    within `transport_errors`. If the client has a `failover_s`, they are repeated for that time
    during a failover: each must be safe to repeat.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, method in list(vars(cls).items()):
            if isfunction(method) and not name.startswith("_"):
                setattr(cls, name, _within_transport_errors(method))


def _within_transport_errors(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: Store, *args: Any, **kwargs: Any) -> Any:
        with transport_errors(self._client):
            failover_s = getattr(self._client, "failover_s", 0.0)
            if failover_s:
                return _repeated(lambda: method(self, *args, **kwargs), failover_s)
            return method(self, *args, **kwargs)

    return call


@contextmanager
def giving_up_at(at: float) -> Iterator[None]:
    """Repeat the calls of this context until `at`, by the monotonic clock, not for `failover_s`."""
    token = _give_up_at.set(at)
    try:
        yield
    finally:
        _give_up_at.reset(token)


def _repeated(call: Callable[[], Any], failover_s: float) -> Any:
    """Repeat `call` while another server may become the primary.

    Of calls within calls, only the innermost is repeated.
    """
    give_up_at = _give_up_at.get()
    until = time.monotonic() + failover_s if give_up_at is None else give_up_at
    with giving_up_at(until):
        while True:
            try:
                return call()
            except redis.RedisError as error:
                if not _may_move(error) or time.monotonic() + _FAILOVER_PAUSE_S > until:
                    raise
            time.sleep(_FAILOVER_PAUSE_S)


#: what a server answers that is not the primary, or not yet, or not without its replicas
_MOVING = (
    *("READONLY", "NOREPLICAS", "MASTERDOWN", "LOADING", "UNBLOCKED"),
    "max number of clients",
)


def _may_move(error: redis.RedisError) -> bool:
    """Whether a repeated call may find another primary, or the replicas of this one."""
    if isinstance(error, TooFewReplicasError) or is_silent(error):
        return True
    found = f"{_code(error)} {error}"
    return any(part in found for part in _MOVING)


def read_clock(client: redis.Redis, clock: ServerClock) -> None:
    """Set `clock` by the clock of the server; raises `TransportError`."""
    with transport_errors(client):
        clock.set(client.time())


def hold_lock(client: redis.Redis, key: str, owner: str, ttl_s: int) -> bool:
    """Take or renew the lock at `key` for `ttl_s`; returns whether `owner` holds it.

    Between reading and renewing it may pass to another owner: two may hold it for a moment. Guard
    only work that may run twice.
    """
    with transport_errors(client):
        if client.set(key, owner, nx=True, ex=ttl_s):
            return True
        holder = client.get(key)
        return holder == owner.encode() and bool(client.expire(key, ttl_s))


def text(value: bytes | str) -> str:
    """Return a name from the server as text; clients of this package do not decode answers."""
    return value.decode() if isinstance(value, bytes) else value
