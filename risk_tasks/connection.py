"""Connections to the server that fail soon instead of hanging."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

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
    """Return a client of the server at `url`; nothing is sent yet.

    One retry after a lost connection: every script here may be repeated; what may not gets none.
    Together with the time-outs, a server that is down is told within two seconds.

    Raises `TransportError` for a URL that is none.
    """
    if not isinstance(url, str):
        raise TransportError(
            f"Not a broker URL: {type(url).__name__}.", remedy="Write it as redis://HOST:PORT/0."
        )
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
        raise TransportError(
            f"Not a broker URL: {masked(url)}.", remedy="Write it as redis://HOST:PORT/0."
        ) from None  # the error itself may quote a password that was not escaped


@contextmanager
def transport_errors(client: redis.Redis) -> Iterator[None]:
    """Turn what redis-py raises into `TransportError`, naming the server but no password."""
    try:
        yield
    except redis.RedisError as error:
        kwargs = client.connection_pool.connection_kwargs
        place = kwargs.get("path") or f"{kwargs.get('host')}:{kwargs.get('port')}"
        raise TransportError(f"The broker at {place} does not answer: {error}.") from error


def text(value: bytes | str) -> str:
    """Return a name that the server holds; clients here do not decode answers by themselves."""
    return value.decode() if isinstance(value, bytes) else value


def masked(url: str) -> str:
    """Return `url` without its password, for messages; also where it is written badly."""
    head, at, tail = url.rpartition("@")
    scheme, _, user = head.partition("://")
    name, colon, _ = user.partition(":")
    shown = f"{scheme}://{name}:***@{tail}" if at and colon else url
    return re.sub(r"(?i)([?&]password=)[^&#]*", r"\1***", shown)


def masked_urls(line: str) -> str:
    """Return `line` with the passwords of all URLs in it masked."""
    return re.sub(r"\S+://\S+", lambda found: masked(found[0]), line)
