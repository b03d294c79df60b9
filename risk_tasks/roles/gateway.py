"""The gateway: HTTP in, blocks out; started, ready, drained on SIGTERM, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import structlog
import uvicorn

from risk_tasks.client import AsyncRiskClient
from risk_tasks.connection import connect, transport_errors
from risk_tasks.errors import StartError
from risk_tasks.http import (
    Application,
    BodyBounds,
    Gateway,
    create_application,
    read_tokens,
    require_safe,
)
from risk_tasks.roles.answering import WholeAnswers
from risk_tasks.roles.logs import configure_logs
from risk_tasks.roles.presence import Presence, name_of_a_life
from risk_tasks.settings import PREFIX, Settings
from risk_tasks.store.idempotency import IdempotencyStore
from risk_tasks.store.roles import RoleStore

log = structlog.get_logger("risk_tasks")

#: under which its checks have a quota on the critical lane
CLIENT_NAME = "gateway"
#: longer than a proxy keeps a connection that nobody uses, so that it never sends into a closed one
_KEEP_ALIVE_S = 75
#: what is allowed past the longest wait before a request that is being answered is given up
_GRACE_S = 2.0


def run_gateway(settings: Settings, *, name: str | None = None) -> int:
    """Serve until SIGTERM or SIGINT, answer what was begun, and return the exit code.

    Raises `InvalidSettingsError` where it would let in others than this machine without tokens, and
    `StartError` where it cannot listen.
    """
    configure_logs(settings.log_level, settings.log_format)
    secret = settings.gateway_tokens
    tokens = () if secret is None else read_tokens(secret.get_secret_value())
    require_safe(settings.gateway_host, tokens)
    listener = _listen(settings.gateway_host, settings.gateway_port)
    url = settings.broker_url.get_secret_value()
    client = connect(url)

    def ping() -> None:
        with transport_errors(client):
            client.ping()

    name = name or name_of_a_life("gateway")
    gateway = Gateway(
        AsyncRiskClient(url, timeout_s=settings.timeout_s, client_name=CLIENT_NAME),
        IdempotencyStore(client),
        ping,
        tokens,
        BodyBounds(
            settings.gateway_json_bytes, settings.gateway_arrow_bytes, settings.gateway_held_bytes
        ),
        settings.gateway_most_s,
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
            remedy="Name a free port, or 0 for any.",
        ) from None
    return listener


class _Server(uvicorn.Server):
    """Leaves signals to the role, and tells it when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(gateway: Gateway, listener: socket.socket, presence: Presence, name: str) -> None:
    application = create_application(gateway)
    host, port = listener.getsockname()[:2]

    def ready() -> None:
        presence.start()
        log.info("gateway.ready", name=name, host=host, port=port)

    config = uvicorn.Config(
        application.asgi,
        http=WholeAnswers,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(gateway.most_s + _GRACE_S),
    )
    server = _Server(config, ready)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _drain, application, server, name)
    try:
        await server.serve(sockets=[listener])
    finally:
        await asyncio.to_thread(presence.stop)
        application.close()
        await gateway.risk.close()


def _drain(application: Application, server: uvicorn.Server, name: str) -> None:
    """Take no new connections, and end each after the answer that is under way on it."""
    log.info("gateway.draining", name=name)
    application.drain()
    server.should_exit = True
