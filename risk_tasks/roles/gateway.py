"""The gateway process: starts uvicorn, reports readiness, drains on SIGTERM, stops."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn

from risk_tasks.client import AsyncRiskClient
from risk_tasks.connection import connect, transport_errors
from risk_tasks.errors import StartError
from risk_tasks.http import BodyBounds, Gateway, create_application, read_tokens, require_safe
from risk_tasks.log import log
from risk_tasks.roles.http_protocol import GatewayProtocol
from risk_tasks.roles.logs import configure_logs
from risk_tasks.roles.outage import when_available
from risk_tasks.roles.presence import Presence, unique_name
from risk_tasks.settings import PREFIX, Settings
from risk_tasks.store.idempotency import IdempotencyStore
from risk_tasks.store.roles import RoleStore

#: the client name of all its checks, for the quota of the critical lane
CLIENT_NAME = "gateway"
#: longer than the idle timeout of a proxy, which then never uses a connection that is closing
_KEEP_ALIVE_S = 75
#: how long a stop waits for a response beyond the longest wait of a request
_STOP_MARGIN_S = 2.0


def run_gateway(settings: Settings, *, name: str | None = None) -> int:
    """Serve until SIGTERM or SIGINT, finish the requests in progress, and return the exit code.

    Raises `InvalidSettingsError` for a public host without tokens, `StartError` if it cannot
    listen.
    """
    configure_logs(settings.log_level, settings.log_format)
    secret = settings.gateway_tokens
    tokens = () if secret is None else read_tokens(secret.get_secret_value())
    require_safe(settings.gateway_host, tokens)
    listener = _listen(settings.gateway_host, settings.gateway_port)
    url = settings.broker_url.get_secret_value()
    replicas = settings.replicas_required
    client = connect(url, replicas_required=replicas)

    def ping() -> None:
        with transport_errors(client):
            client.ping()

    if settings.start_timeout_s is not None:  # without it the gateway answers 503 meanwhile
        when_available(ping, timeout_s=settings.start_timeout_s)
    name = name or unique_name("gateway")
    gateway = Gateway(
        AsyncRiskClient(
            url,
            timeout_s=settings.timeout_s,
            client_name=CLIENT_NAME,
            replicas_required=replicas,
        ),
        IdempotencyStore(client),
        ping,
        tokens=tokens,
        bounds=BodyBounds(
            settings.gateway_json_bytes, settings.gateway_arrow_bytes, settings.gateway_held_bytes
        ),
        max_wait_s=settings.gateway_max_wait_s,
    )
    presence = Presence(RoleStore(client), "gateway", name)
    loop_factory = uvicorn.Config("", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_serve(gateway, listener, presence, name))
    log.info("gateway.stopped", name=name)
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartError(
            f"The gateway cannot listen on {host}:{port}: {error.strerror or error}.",
            field=f"{PREFIX}GATEWAY_PORT",
            remedy="Set a free port, or 0 to choose one.",
        ) from None
    return listener


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to its caller and calls `on_ready` once it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(gateway: Gateway, listener: socket.socket, presence: Presence, name: str) -> None:
    host, port = listener.getsockname()[:2]

    def on_ready() -> None:
        presence.start()
        log.info("gateway.ready", name=name, host=host, port=port)

    config = uvicorn.Config(
        create_application(gateway),
        http=GatewayProtocol,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(gateway.max_wait_s + _STOP_MARGIN_S),
    )
    server = _Server(config, on_ready)

    def drain() -> None:
        """Accept no more connections, and close each one after its current response."""
        log.info("gateway.draining", name=name)
        gateway.drain()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, drain)
    try:
        await server.serve(sockets=[listener])
    finally:
        await asyncio.to_thread(presence.stop)
        gateway.close()
        await gateway.risk.close()
