"""What kombu does with a message through our transport, without a worker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from kombu import Connection, Consumer, Queue
from kombu.transport.redis import Channel
from structlog.testing import capture_logs

from risk_tasks.app import TRANSPORT_OPTIONS
from risk_tasks.broker.dead_letters import DeadLetters
from risk_tasks.broker.envelope import envelope
from risk_tasks.broker.transport import GuardedRedis, GuardedTransport
from risk_tasks.queues import CHECK_TASK, MAX_REDELIVERIES, Lane

pytestmark = pytest.mark.integration

QUEUE = Lane.NORMAL.queue


@pytest.fixture
def connection(server) -> Iterator[Connection]:
    """A connection like the app's, to this test's own server."""
    options = {**TRANSPORT_OPTIONS, "queue_order_strategy": "round_robin"}
    with Connection(
        server.url, transport=GuardedTransport, transport_options=options
    ) as connection:
        yield connection


@pytest.fixture
def channel(connection) -> Channel:
    return connection.default_channel


def take(channel):
    message = channel.basic_get(QUEUE)
    assert message is not None
    return message


def other(name: str) -> bytes:
    """A message that is not in the ledger."""
    message = json.loads(envelope(name, Lane.NORMAL, "1 check"))
    message["headers"]["task"] = CHECK_TASK
    return json.dumps(message).encode()


def waiting(server) -> list[str]:
    return [message["headers"]["id"] for message in server.messages(QUEUE)]


# --- what is fetched and not yet acknowledged


def test_a_fetched_block_is_recorded_in_memory_only(server, channel, sender):
    """Neither fetching nor acknowledging it writes to the server."""
    block_id = sender.send()
    before = server.content()

    message = take(channel)
    assert channel.qos.get(block_id) is message
    held = server.content()
    message.ack()
    channel.close()

    del before[QUEUE]
    assert held == before == server.content()


def test_any_other_message_is_in_unacked_until_it_is_acknowledged(server, channel):
    """As kombu does it, so that the message is redelivered after its worker dies."""
    server.client.lpush(QUEUE, other("other"))

    message = take(channel)
    assert server.client.hkeys("unacked") == [b"other"]
    assert server.client.zrange("unacked_index", 0, -1) == [b"other"]
    assert channel.qos.get("other") is message
    message.ack()
    assert server.key_names() == set()
    channel.close()

    assert server.key_names() == set()


def test_a_requeued_block_is_last_in_its_list(server, channel, sender):
    """Once, marked as redelivered, and not held by a worker."""
    first, second = sender.send(), sender.send()

    take(channel).requeue()

    assert waiting(server) == [second, first]
    assert server.messages(QUEUE)[1]["headers"]["redelivered"] is True
    channel.close()
    assert waiting(server) == [second, first]


def overdue(server) -> None:
    """Let all messages in `unacked` be overdue."""
    for tag in server.client.zrange("unacked_index", 0, -1):
        server.client.zadd("unacked_index", {tag: 1})


def test_any_other_requeued_message_is_redelivered_later_and_counted(server, channel):
    """Each pause is twice as long, and none holds the slot of a worker."""
    server.client.lpush(QUEUE, other("other"))
    pauses_s = []
    for number in range(MAX_REDELIVERIES):
        take(channel).requeue()
        assert channel.qos.can_consume()
        assert waiting(server) == []
        due_s = server.client.zscore("unacked_index", "other") + channel.visibility_timeout
        pauses_s.append(round(due_s - server.now_ms() / 1e3))
        channel.qos.restore_visible()
        assert waiting(server) == []
        overdue(server)
        channel.qos.restore_visible()
        assert server.messages(QUEUE)[0]["headers"]["redeliveries"] == number + 1

    assert pauses_s == [2, 4, 8, 16, 32]
    assert server.counter("redelivered") == MAX_REDELIVERIES


def test_a_message_that_is_redelivered_too_often_becomes_a_dead_letter(server, channel):
    """Its caller gets an error."""
    answered = []
    channel.client.on_refused = lambda ids, error: answered.append((ids, error.code))
    message = json.loads(other("other"))
    message["headers"]["redeliveries"] = MAX_REDELIVERIES
    server.client.lpush(QUEUE, json.dumps(message))
    take(channel)
    overdue(server)

    channel.qos.restore_visible()

    (letter,) = DeadLetters(server.client).letters()
    assert letter.reason == "redelivered 5 times and never finished"
    assert answered == [(["other"], "refused_message")]
    assert waiting(server) == []
    assert "unacked" not in server.key_names()


def test_the_clock_of_a_worker_does_not_redeliver_messages(server, channel, monkeypatch):
    """A worker an hour ahead would redeliver what others compute."""
    server.client.lpush(QUEUE, other("other"))
    take(channel)
    ahead = time.time() + 3_600
    monkeypatch.setattr("kombu.transport.redis.time", lambda: ahead)

    channel.qos.restore_visible()

    assert server.client.hkeys("unacked") == [b"other"]
    assert abs(server.client.zscore("unacked_index", "other") - server.now_ms() / 1e3) < 5


def test_a_message_for_later_is_not_redelivered_before_it_starts(server, channel):
    """Celery's workers hold it meanwhile; redelivered each minute, it would run several times."""
    message = json.loads(other("other"))
    start_s = server.now_ms() / 1e3 + 3_600
    message["headers"]["eta"] = datetime.fromtimestamp(start_s, UTC).isoformat()
    server.client.lpush(QUEUE, json.dumps(message))

    take(channel)

    assert abs(server.client.zscore("unacked_index", "other") - start_s) < 1


def test_a_full_server_keeps_no_message_in_memory(server, channel):
    """A message that cannot be tracked or removed never holds the slot of a worker."""
    server.client.lpush(QUEUE, other("one"), other("two"))
    first = take(channel)
    server.client.config_set("maxmemory", 1)
    try:
        first.requeue()
        take(channel).ack()
    finally:
        server.client.config_set("maxmemory", 0)

    assert channel.qos.can_consume()
    assert len(channel.qos._delivered) == len(channel.qos._dirty)


@pytest.mark.parametrize("is_block", [True, False], ids=["block", "other"])
def test_a_closed_channel_restores_its_messages_to_the_front(server, channel, sender, is_block):
    """A stopped worker leaves its messages to the next one."""
    first = sender.send() if is_block else "other"
    if not is_block:
        server.client.lpush(QUEUE, other(first))
    second = sender.send()
    take(channel)

    channel.close()

    assert waiting(server) == [first, second]
    assert "unacked" not in server.key_names()


def test_the_messages_of_a_dead_worker_are_restored_by_their_tag(server, channel, connection):
    """Also through a channel that did not fetch them."""
    server.client.lpush(QUEUE, other("other"))
    take(channel)

    second = connection.channel()
    second.qos.restore_by_tag("other")

    assert waiting(server) == ["other"]
    assert "unacked" not in server.key_names()
    channel.basic_ack("other")


# --- the guard


def test_a_consumer_does_not_receive_a_message_that_the_guard_refuses(server, connection):
    """It becomes a dead letter with its lane and its reason, and is logged."""
    server.client.lpush(QUEUE, b"garbage", envelope("good", Lane.NORMAL, "1 check"))
    seen = []

    def note(_, message):
        seen.append(message.headers["id"])
        message.ack()

    with capture_logs() as logs, Consumer(connection, [Queue(QUEUE)], callbacks=[note]):
        while not seen:
            connection.drain_events(timeout=5)

    assert seen == ["good"]
    (letter,) = DeadLetters(server.client).letters()
    assert (letter.envelope, letter.lane) == (b"garbage", "normal")
    assert letter.reason
    (line,) = [line for line in logs if line["event"] == "message.quarantined"]
    assert (line["queue"], line["fault"]) == (QUEUE, letter.reason)
    assert server.client.llen(QUEUE) == 0


# --- the connection for writes


def test_the_connection_for_writes_is_made_once_and_those_for_reads_each_time(channel):
    """A new one is made after a lost connection has closed the pool."""
    writer = channel._create_client()

    assert type(writer) is GuardedRedis
    assert channel._create_client() is writer
    reader = channel._create_client(asynchronous=True)
    assert type(reader) is GuardedRedis
    assert reader is not channel._create_client(asynchronous=True)
    assert reader is not writer

    channel._pool = None
    anew = channel._create_client()
    assert anew is not writer
    assert anew.connection_pool is channel.pool
    assert channel._create_client() is anew


def test_an_acknowledgement_after_restoring_all_messages_changes_nothing(server, channel, sender):
    """As of a task that was running while the connection was lost."""
    block_id = sender.send()
    message = take(channel)
    channel.qos.restore_unacked()

    message.ack()

    assert waiting(server) == [block_id]
    channel.close()
