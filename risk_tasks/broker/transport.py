"""Celery's Redis transport with validation of each message before a worker decodes it.

Some malformed messages crash a stock worker, which requeues them on its way out, so that one
message stops every worker. Here kombu reads the lanes through a client that quarantines such
messages with the reason. The transport also leaves out bookkeeping that the ledger makes redundant.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, ClassVar, cast

import msgspec
import redis
from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS, SentinelChannel, SentinelTransport, Transport

from risk_tasks.broker.canvas import check_shape, has_canvas, result_ids
from risk_tasks.broker.dead_letters import DeadLetters
from risk_tasks.broker.heartbeat import Heartbeat
from risk_tasks.connection import text
from risk_tasks.errors import RefusedMessageError
from risk_tasks.keys import COUNTERS_KEY
from risk_tasks.log import log
from risk_tasks.queues import (
    CHECK_BLOCK_TASK,
    JSON_TASKS,
    MAX_REDELIVERIES,
    RESERVED_PREFIX,
    SERVED_TASKS,
    lane_of_queue,
)
from risk_tasks.scripts import Script
from risk_tasks.server_clock import server_s

#: `risk.check` carries its portfolio in the message
MAX_MESSAGE_BYTES = 1 << 20
#: a larger message is not even read for the ids of its callers
_MAX_READ_BYTES = 16 << 20
#: how often a message was redelivered; this transport writes the header
REDELIVERIES = "redeliveries"
#: the first pause before a redelivery; each later one is twice as long
_FIRST_PAUSE_S = 2.0
#: messages that one call redelivers
_RESTORED = 100
#: called with the ids of the results that wait for a refused message
Refused = Callable[[list[str], RefusedMessageError], None]


class _Headers(msgspec.Struct):
    task: str
    id: str
    retries: int | None = None
    timelimit: tuple[float | None, float | None] | None = None
    eta: str | None = None
    expires: str | None = None
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    origin: str | None = None
    argsrepr: str | None = None
    kwargsrepr: str | None = None
    ignore_result: bool | None = None
    stamps: dict[str, Any] | None = None
    stamped_headers: list[str] | None = None
    shadow: str | None = None
    group_index: int | None = None
    replaced_task_nesting: int = 0
    redeliveries: Annotated[int, msgspec.Meta(ge=0)] = 0
    compression: str | None = None
    # Celery would read these like the parts of the canvas in the body.
    callbacks: None = None
    errbacks: None = None
    chain: None = None
    chord: None = None


class _DeliveryInfo(msgspec.Struct):
    routing_key: str
    exchange: str


class _Properties(msgspec.Struct):
    delivery_tag: str
    delivery_info: _DeliveryInfo
    body_encoding: str
    correlation_id: str | None = None
    reply_to: str | None = None
    priority: int | None = None


class _Message(msgspec.Struct):
    body: str
    headers: _Headers
    properties: _Properties
    content_type: str = msgspec.field(name="content-type")
    content_encoding: str = msgspec.field(name="content-encoding")


class _Id(msgspec.Struct):
    id: str


class _Addressed(msgspec.Struct):
    """As much of a refused message as names its caller."""

    headers: _Id
    body: msgspec.Raw = msgspec.Raw()


_MESSAGE = msgspec.json.Decoder(_Message)
_ADDRESSED = msgspec.json.Decoder(_Addressed)


def find_fault(message: bytes) -> str | None:
    """Return why a worker must not decode `message`, or None if it may.

    Checks the size first, then the shape, the task, the arguments and the canvas; evaluates
    nothing.
    """
    if len(message) > MAX_MESSAGE_BYTES:
        return f"oversized: {len(message)} bytes of {MAX_MESSAGE_BYTES}"
    try:
        read = _MESSAGE.decode(message)
        return _unserved(read) or _fault_in_body(read)
    except (ValueError, RecursionError) as error:
        return f"malformed: {str(error)[:200]}"


def _unserved(read: _Message) -> str | None:
    if read.headers.task not in SERVED_TASKS:
        return f"unknown task: {read.headers.task[:80]}"
    if read.content_type != "application/json" or read.content_encoding.lower() != "utf-8":
        return f"not JSON: {read.content_type[:80]}"
    if read.headers.compression is not None:
        return f"compressed: {read.headers.compression[:80]}"
    return None


def _fault_in_body(read: _Message) -> str | None:
    # A NaN among the arguments is left to the task.
    match json.loads(_body(read)):
        case [list(), dict(), None | dict() as embed]:
            if has_canvas(embed) and read.headers.task not in JSON_TASKS:
                return f"canvas not allowed: {read.headers.task}"
            if embed:
                check_shape(embed)
        case _:
            return "malformed: the body is not [args, kwargs, embed]"
    for moment in (read.headers.eta, read.headers.expires):
        if moment is not None:
            datetime.fromisoformat(moment)
    return None


def waiting_results(message: bytes) -> list[str]:
    """Return the ids of the results that wait for a refused message, as far as it names them."""
    if len(message) > _MAX_READ_BYTES:
        return []
    try:
        read = _ADDRESSED.decode(message)
    except (ValueError, RecursionError):
        return []
    try:
        body = json.loads(_body(_MESSAGE.decode(message)))
        check_shape(body[2] or {})
        return [read.headers.id, *result_ids(body[2])]
    except (ValueError, RecursionError, LookupError, TypeError):
        return [read.headers.id]


def _body(message: _Message) -> bytes:
    encoding = message.properties.body_encoding
    if encoding == "base64":
        return base64.b64decode(message.body, validate=True)
    if encoding == "utf-8":
        return message.body.encode()
    raise ValueError(f"body encoding {encoding[:20]!r}")


class GuardedRedis(redis.Redis):
    """Quarantines each message of a lane in which `find_fault` finds a fault."""

    heartbeat = Heartbeat(None)
    on_refused: Refused | None = None
    on_fetched: Callable[[], None] | None = None

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        response = super().parse_response(connection, command_name, **options)
        if command_name != "BRPOP":
            return response
        self.heartbeat.beat()
        if self.on_fetched is not None:
            self.on_fetched()
        if not response:
            return response
        queue, message = text(response[0]), response[1]
        # Replies to `inspect` arrive here too; the names of their queues start differently.
        fault = find_fault(message) if queue.startswith(RESERVED_PREFIX) else None
        if fault is None:
            return response
        self.refuse(message, queue, fault)
        return None

    def refuse(self, message: bytes, queue: str, fault: str) -> None:
        """Make a dead letter of `message`, and answer its caller."""
        log.warning("message.quarantined", queue=queue, fault=fault)
        letters = DeadLetters(redis.Redis(connection_pool=self.connection_pool))
        letters.quarantine(message, lane=lane_of_queue(queue), reason=fault)
        if self.on_refused is not None:
            self.on_refused(waiting_results(message), RefusedMessageError(f"Refused: {fault}."))


class LedgerQoS(QoS):
    """Tracks a fetched block in memory only; if this worker dies, the reaper requeues the block.

    kombu writes each fetched message into `unacked` and removes it afterwards. The ledger already
    holds each block, so this saves two round trips per block. Other messages are in `unacked`, by
    the clock of the server. One that is not acknowledged is redelivered, `MAX_REDELIVERIES` times
    at most. An error of the server never keeps a message in memory, where it would hold a slot.
    """

    #: messages of this process that the server refused to take into `unacked`, by delivery tag: the
    #: other arguments of the script `track`
    _untracked: ClassVar[dict[str, tuple[str, float, float]]] = {}

    def append(self, message: Any, delivery_tag: str) -> None:
        virtual.QoS.append(self, message, delivery_tag)
        if not _is_block(message):
            to = message.delivery_info
            entry = json.dumps([message._raw, to["exchange"], to["routing_key"]])  # noqa: SLF001
            self._untracked[delivery_tag] = entry, 0.0, _start_s(message)
            self._try("tracked", lambda: self._track(delivery_tag))

    def ack(self, delivery_tag: str) -> None:
        if not _is_block(self._delivered.get(delivery_tag)):
            self._untracked.pop(delivery_tag, None)
            self._try("removed", self._remove_from_indices(delivery_tag).execute)
        virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        message = self._delivered.get(delivery_tag)
        if not requeue or _is_block(message):
            super().reject(delivery_tag, requeue)
            return
        n_before = message.headers.get(REDELIVERIES, 0) if message else 0
        pause_s = _FIRST_PAUSE_S * 2 ** min(n_before, MAX_REDELIVERIES)
        due_s = pause_s - self.visibility_timeout
        if delivery_tag in self._untracked:
            self._untracked[delivery_tag] = self._untracked[delivery_tag][0], due_s, 0.0
        else:
            self._try("postponed", lambda: self._postpone(delivery_tag, due_s))
        virtual.QoS.ack(self, delivery_tag)

    def restore_visible(self, start: int = 0, num: int | None = None, interval: int = 10) -> None:
        """Redeliver messages that were not acknowledged in time, some at each call."""
        for tag in list(self._untracked):
            self._try("tracked", partial(self._track, tag))
        with self.channel.conn_or_acquire() as client:
            overdue_s = server_s(client.time()) - self.visibility_timeout
            for tag in client.zrangebyscore(
                self.unacked_index_key, 0, overdue_s, start=0, num=num or _RESTORED
            ):
                self._redeliver(text(tag), client)

    def _redeliver(self, tag: str, client: GuardedRedis) -> None:
        entry = client.hget(self.unacked_key, tag)
        raw, _, queue = json.loads(entry) if entry else ({}, "", "")
        n_redeliveries = raw.get("headers", {}).get(REDELIVERIES, 0)
        if n_redeliveries < MAX_REDELIVERIES:
            self.restore_by_tag(tag, client)
            client.hincrby(COUNTERS_KEY, "redelivered", 1)
        else:
            fault = f"redelivered {n_redeliveries} times and never finished"
            self.channel.client.refuse(json.dumps(raw).encode(), queue, fault)
            self._remove_from_indices(tag).execute()

    def _track(self, tag: str) -> None:
        self.channel.unacked_script("track")(
            keys=[self.unacked_key, self.unacked_index_key], args=[tag, *self._untracked[tag]]
        )
        self._untracked.pop(tag, None)

    def _postpone(self, tag: str, due_s: float) -> None:
        self.channel.unacked_script("postpone")(keys=[self.unacked_index_key], args=[tag, due_s])

    def _try(self, what: str, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:
            log.warning(f"message.not_{what}", error=str(error))

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        message = self._delivered.get(tag)
        if message is None or not _is_block(message):
            super().restore_by_tag(tag, client, leftmost)
            return
        to = message.delivery_info
        with self.channel.conn_or_acquire(client) as server:
            self.channel._do_restore_message(  # noqa: SLF001 - as kombu's own class does
                message._raw,  # noqa: SLF001
                to["exchange"],
                to["routing_key"],
                server,
                leftmost,
            )


def _start_s(message: Any) -> float:
    """Return the epoch before which Celery does not start `message`, 0 without one."""
    eta = message.headers.get("eta")
    moment = datetime.fromisoformat(eta) if eta else datetime.fromtimestamp(0, UTC)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _is_block(message: Any) -> bool:
    return message is not None and message.headers.get("task") == CHECK_BLOCK_TASK


class GuardedChannel(Channel):
    """Reads through `GuardedRedis` and reuses one client for writing."""

    QoS = LedgerQoS
    from_transport_options: Any = (*Channel.from_transport_options, "heartbeat_file")
    heartbeat_file: str | None = None
    _writer: GuardedRedis | None = None
    _scripts: dict[str, Script]

    def _get_client(self) -> type[GuardedRedis]:
        super()._get_client()
        return GuardedRedis

    def _create_client(self, asynchronous: bool = False) -> GuardedRedis:
        # kombu makes a client for each acknowledgement, which takes 0.5 ms. Only clients that read
        # own a connection and are made each time.
        if asynchronous:
            reader = cast("GuardedRedis", super()._create_client(asynchronous=True))
            reader.heartbeat = Heartbeat(self.heartbeat_file)
            return reader
        if self._writer is None or self._writer.connection_pool is not self.pool:
            self._writer = super()._create_client()
            self._scripts = {}
        return self._writer

    def unacked_script(self, name: str) -> Script:
        """Return a script about messages of other tasks than blocks."""
        writer = self._create_client()
        if name not in self._scripts:
            self._scripts[name] = Script(writer, "risk_tasks.broker", "unacked", name)
        return self._scripts[name]

    def _do_restore_message(
        self, payload: Any, exchange: str, routing_key: str, pipe: Any, leftmost: bool = False
    ) -> None:
        headers = payload.setdefault("headers", {})
        if headers.get("task") != CHECK_BLOCK_TASK:
            headers[REDELIVERIES] = headers.get(REDELIVERIES, 0) + 1
        super()._do_restore_message(payload, exchange, routing_key, pipe, leftmost)


class GuardedTransport(Transport):
    """The class that the setting `broker_transport` names."""

    Channel = GuardedChannel


class GuardedSentinelChannel(GuardedChannel, SentinelChannel):
    """The same, on the primary that Sentinels name at each new connection."""

    from_transport_options: Any = (*SentinelChannel.from_transport_options, "heartbeat_file")


class GuardedSentinelTransport(SentinelTransport):
    """The transport of a broker behind Sentinels."""

    Channel = GuardedSentinelChannel
