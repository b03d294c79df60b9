"""Blocks past their deadline and disconnected clients: what is removed and what stays."""

from __future__ import annotations

import pytest

from risk_tasks.keys import (
    CLIENT_GONE_S,
    CLIENTS_KEY,
    LEDGER_KEY,
    RESULT_TTL_S,
    block_key,
    payload_key,
    reply_key,
    result_key,
)
from risk_tasks.queues import OVERDUE_GRACE_S, Lane
from risk_tasks.upkeep.ledger import sweep
from tests.integration.support import PAYLOAD, Sender, Server, unique, wait_until

pytestmark = pytest.mark.integration


def send_overdue(server: Server, sender: Sender, **terms) -> str:
    """Enqueue a block, and return after its deadline."""
    block_id = sender.send(timeout_s=0.001, **terms)
    deadline = int(server.client.hget(block_key(block_id), "deadline_ms"))
    wait_until(lambda: server.now_ms() > deadline, 2)
    return block_id


def plant_client(server: Server, *, seen_s_ago: float, n_results: int = 2) -> tuple[str, list[str]]:
    """Write a client's entry, its reply list and its results; returns its id and the results."""
    client_id = unique("client")
    blocks = [unique("block") for _ in range(n_results)]
    for block_id in blocks:
        server.client.set(result_key(block_id), b"answer", ex=RESULT_TTL_S)
        server.client.rpush(reply_key(client_id), block_id)
    server.client.zadd(CLIENTS_KEY, {client_id: server.now_ms() - int(seen_s_ago * 1e3)})
    return client_id, [result_key(block_id) for block_id in blocks]


# --- deadlines


def test_a_block_past_its_deadline_is_not_started(server, broker, sender):
    """Its checks count as expired, its room is released, and a late answer is dropped."""
    block_id = send_overdue(server, sender, n_checks=5)

    assert broker.start(block_id, worker="w") is None

    assert server.counter("expired") == 5
    assert server.lane(Lane.NORMAL) == (0, 0)
    assert server.client.zcard(LEDGER_KEY) == 0
    assert {block_key(block_id), payload_key(block_id)}.isdisjoint(server.key_names())
    assert broker.finish(block_id, b"late") is None
    assert server.client.get(result_key(block_id)) == b"!expired"
    replies = server.client.lrange(reply_key(sender.client_id), 0, -1)
    assert replies == [f"{block_id} !expired".encode()]
    for key in (result_key(block_id), reply_key(sender.client_id)):
        assert 0 <= RESULT_TTL_S - server.client.ttl(key) <= 5


def test_a_missing_block_is_not_started_and_does_not_count_as_expired(server, broker, sender):
    """A redelivery after its answer is skipped."""
    block_id = sender.send()
    broker.finish(block_id, b"answer")

    assert broker.start(block_id, worker="w") is None
    assert server.counter("expired") == 0


def test_a_block_started_in_time_may_finish_late(server, broker, sender):
    """The deadline only prevents a start."""
    block_id = sender.send(timeout_s=0.2)
    assert broker.start(block_id, worker="w")
    deadline = int(server.client.hget(block_key(block_id), "deadline_ms"))
    wait_until(lambda: server.now_ms() > deadline, 2)

    assert broker.finish(block_id, b"answer") is not None


# --- the sweep


def test_a_sweep_removes_overdue_blocks_and_releases_their_room(server, broker, sender):
    """A block before its deadline stays."""
    overdue = send_overdue(server, sender, n_checks=5)
    waiting = sender.send(n_checks=2)

    assert broker.sweep(grace_s=0) == (1, 0, 0)

    assert server.counter("swept_blocks") == 1
    assert server.lane(Lane.NORMAL) == (2, len(PAYLOAD))
    assert server.client.zrange(LEDGER_KEY, 0, -1) == [waiting.encode()]
    assert block_key(overdue) not in server.key_names()
    assert broker.start(overdue, worker="w") is None
    assert broker.start(waiting, worker="w") is not None


def test_a_sweep_leaves_a_started_block_to_its_worker_for_the_grace(server, broker, sender):
    """Past its deadline, within the grace: the worker may still finish."""
    block_id = send_overdue(server, sender)
    assert broker.sweep() == (0, 0, 0)

    late = server.now_ms() - OVERDUE_GRACE_S * 1_000
    server.client.zadd(LEDGER_KEY, {block_id: late})

    assert broker.sweep() == (1, 0, 0)


def test_a_sweep_removes_the_keys_of_disconnected_clients(server, broker):
    """Their entries, reply lists and results; those of connected clients stay."""
    gone, gone_results = plant_client(server, seen_s_ago=CLIENT_GONE_S + 0.005)
    living, living_results = plant_client(server, seen_s_ago=CLIENT_GONE_S - 5)

    assert broker.sweep() == (0, 1, 2)

    assert server.counter("swept_results") == 2
    assert server.client.zscore(CLIENTS_KEY, gone) is None
    assert server.key_names().isdisjoint({reply_key(gone), *gone_results})
    assert server.client.zscore(CLIENTS_KEY, living) is not None
    assert server.key_names() >= {reply_key(living), *living_results}


def test_a_sweep_removes_the_many_replies_of_a_client_in_several_rounds(server, broker):
    """A hundred per round: the script reads small answers from the list."""
    gone = unique("gone")
    server.client.zadd(CLIENTS_KEY, {gone: server.now_ms() - 1_000 * (CLIENT_GONE_S + 1)})
    names = [f"{gone}-{number}" for number in range(150)]
    for name in names:
        server.client.set(result_key(name), b"answer")
        server.client.rpush(reply_key(gone), f"{name} answer")

    assert [broker.sweep(), broker.sweep(), broker.sweep()] == [(0, 1, 100), (0, 1, 50), (0, 0, 0)]
    assert not [name for name in server.key_names() if gone in name]


def test_a_sweep_removes_results_that_the_reply_contains_too(server, broker, sender):
    """A small answer is in the reply list and under its own key."""
    block_id = sender.send()
    broker.finish(block_id, b"an answer of words")
    seen_ms = server.now_ms() - 1_000 * (CLIENT_GONE_S + 1)
    server.client.zadd(CLIENTS_KEY, {sender.client_id: seen_ms})

    assert broker.sweep() == (0, 1, 1)

    assert {result_key(block_id), reply_key(sender.client_id)}.isdisjoint(server.key_names())


def test_a_sweep_removes_an_id_without_any_other_key(server, broker):
    """Otherwise every sweep would find it overdue."""
    server.client.zadd(LEDGER_KEY, {"no-such-block": 1})

    assert broker.sweep() == (1, 0, 0)

    assert server.client.zcard(LEDGER_KEY) == 0
    assert server.counter("expired") == 0


def test_a_client_without_answers_is_removed_too(server, broker):
    """Otherwise the entry of every client process would stay."""
    gone, _ = plant_client(server, seen_s_ago=CLIENT_GONE_S + 1, n_results=0)

    assert broker.sweep() == (0, 1, 0)

    assert server.client.zscore(CLIENTS_KEY, gone) is None


def test_a_new_block_keeps_a_client_alive(server, broker, sender):
    """A client that was idle for long is alive again with its next block."""
    sender.client_id, results = plant_client(server, seen_s_ago=CLIENT_GONE_S + 1)
    sender.send()

    assert broker.sweep() == (0, 0, 0)
    assert server.key_names() >= {reply_key(sender.client_id), *results}


def test_a_sweep_continues_until_nothing_is_left(server, broker, sender):
    """Each round is bounded, and the sweep repeats rounds."""
    for _ in range(250):
        block_id = sender.send(timeout_s=0.001)
        server.client.zadd(LEDGER_KEY, {block_id: 1.0})
    for _ in range(120):
        plant_client(server, seen_s_ago=CLIENT_GONE_S + 1, n_results=1)
    assert broker.sweep() == (100, 100, 100)

    swept = sweep(broker)

    assert (swept.blocks, swept.clients, swept.results) == (150, 20, 20)
    assert server.lane(Lane.NORMAL) == (0, 0)
    assert [key for key in server.key_names() if key.startswith("risk:block")] == []
