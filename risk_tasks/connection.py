"""Connections to the Redis server that fail soon instead of hanging."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isfunction
from typing import Any

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from risk_tasks.errors import TransportError

CONNECT_TIMEOUT_S = 0.8


def connect(
    url: str,
    *,
    socket_timeout_s: float = 1.8,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    n_retries: int = 1,
    max_connections: int = 100,
) -> redis.Redis:
    """Return a client of the server at `url`; sends nothing yet.

    After a lost connection a command is retried `n_retries` times: every script may run twice; pass
    0 for commands that may not. With these timeouts an unreachable server raises an error within
    two seconds.

    Raises `TransportError` for an invalid URL.
    """
    if not isinstance(url, str):
        raise _invalid(type(url).__name__)
    try:
        return redis.Redis.from_url(
            url,
            max_connections=max_connections,
            socket_timeout=socket_timeout_s,
            socket_connect_timeout=connect_timeout_s,
            **({} if url.startswith("unix") else {"socket_keepalive": True}),
            retry=Retry(
                ConstantBackoff(0.05), n_retries, supported_errors=(redis.ConnectionError,)
            ),
        )
    except ValueError:
        raise _invalid(masked(url)) from None  # its text may quote a password that is not escaped


def _invalid(url: str) -> TransportError:
    return TransportError(f"Not a broker URL: {url}.", remedy="Write it as redis://HOST:PORT/0.")


@contextmanager
def transport_errors(client: redis.Redis) -> Iterator[None]:
    """Turn the errors of redis-py into `TransportError` with the server but without a password."""
    try:
        yield
    except redis.RedisError as error:
        kwargs = client.connection_pool.connection_kwargs
        server = kwargs.get("path") or f"{kwargs.get('host')}:{kwargs.get('port')}"
        raise TransportError(f"The broker at {server} does not answer: {error}.") from error


class Store:
    """Keys of one server; safe to share between threads.

    Public methods of its classes raise `TransportError` if the server does not answer: they run
    within `transport_errors`.
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
            return method(self, *args, **kwargs)

    return call


def server_s(time: Any) -> float:
    """Return the answer to TIME, the clock of the server, in seconds."""
    seconds, microseconds = time
    return float(seconds) + float(microseconds) / 1e6


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


def masked(url: str) -> str:
    """Return `url` without its password, valid or not, for messages."""
    head, at, tail = url.rpartition("@")
    scheme, _, user = head.partition("://")
    name, colon, _ = user.partition(":")
    shown = f"{scheme}://{name}:***@{tail}" if at and colon else url
    return re.sub(r"(?i)([?&]password=)[^&#]*", r"\1***", shown)


def masked_urls(line: str) -> str:
    """Return `line` without the passwords of the URLs in it."""
    return re.sub(r"\S+://\S+", lambda found: masked(found[0]), line)
