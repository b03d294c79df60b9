"""The life of a block on the server, script by script, with nobody else at work there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from risk_tasks.broker.blocks import IfMissing, StampRequest
from risk_tasks.client.replies import ReplyReader
from risk_tasks.connection import connect
from risk_tasks.errors import QueueFullError, UnknownLimitSetError
from risk_tasks.lanes import (
    CLIENTS_KEY,
    LANE_CAPACITY,
    LEDGER_KEY,
    LIMIT_SETS_KEY,
    MARKETS_KEY,
    RESULT_TTL_S,
    LaneCapacity,
    Priority,
    block_key,
    lane_key,
    limits_key,
    market_key,
    payload_key,
    reply_key,
    result_key,
)
from risk_tasks.model.stamp import Stamp
from tests.integration.support import PAYLOAD, Sender, unique

pytestmark = pytest.mark.integration


def test_an_accepted_block_waits_in_its_lane(server, sender):
    """One message, the payload under its own key, an entry in the ledger, room taken."""
    block_id = sender.send(n_checks=3, timeout_s=60.0)

    (message,) = server.messages(Priority.NORMAL.queue)
    assert message["headers"]["id"] == block_id
    assert server.lane(Priority.NORMAL) == (3, len(PAYLOAD))
    entry = server.client.hgetall(block_key(block_id))
    assert server.client.get(payload_key(block_id)) == PAYLOAD
    assert entry[b"client"].decode() == sender.client_id
    assert int(entry[b"deadline_ms"]) - int(entry[b"enqueued_ms"]) == 60_000
    assert abs(server.now_ms() - int(entry[b"enqueued_ms"])) < 5_000
    assert server.client.zscore(LEDGER_KEY, block_id) == int(entry[b"deadline_ms"])
    assert server.client.zscore(CLIENTS_KEY, sender.client_id) == int(entry[b"enqueued_ms"])


def test_blocks_leave_a_lane_in_the_order_in_which_they_came(server, sender):
    """A lane is first in, first out."""
    sent = [sender.send() for _ in range(5)]

    assert [message["headers"]["id"] for message in server.messages("risk.normal")] == sent


def test_a_started_block_is_handed_out_whole(server, broker, sender):
    """The worker gets the bytes, the stamp and the time waited, and is written down."""
    block_id = sender.send()

    block = broker.start(block_id, worker="worker-7")

    assert (block.payload, block.stamp) == (PAYLOAD, Stamp())
    assert 0 <= block.queued_ms < 5_000
    assert server.client.hget(block_key(block_id), "worker") == b"worker-7"
    assert server.lane(Priority.NORMAL)[0] == 3


def test_a_block_may_be_started_again(server, broker, sender):
    """A second worker gets what the first got, where that one died with it."""
    block_id = sender.send()

    first, second = (broker.start(block_id, worker=name) for name in ("a", "b"))

    assert first.payload == second.payload
    assert server.client.hget(block_key(block_id), "worker") == b"b"


def test_a_finished_block_wakes_its_caller_and_leaves_nothing_else(server, broker, sender):
    """Answer and reply live 900 s at most; entry, payload, ledger and room are given back."""
    block_id = sender.send()
    broker.start(block_id, worker="w")

    assert broker.finish(block_id, b"\xffanswer\x00") is True

    assert server.client.get(result_key(block_id)) == b"\xffanswer\x00"
    told = server.client.lrange(reply_key(sender.client_id), 0, -1)
    assert told == [block_id.encode() + b" \xffanswer\x00"]
    for key in (result_key(block_id), reply_key(sender.client_id)):
        assert 0 < server.client.ttl(key) <= RESULT_TTL_S
    assert server.lane(Priority.NORMAL) == (0, 0)
    assert server.client.zcard(LEDGER_KEY) == 0
    assert {block_key(block_id), payload_key(block_id)}.isdisjoint(server.key_names())


def test_each_lane_counts_its_own(server, broker, sender):
    """A block takes and gives back room in its own lane only."""
    sent = {lane: sender.send(lane=lane, n_checks=4) for lane in Priority}
    broker.finish(sent[Priority.CRITICAL], b"answer")

    assert [server.lane(lane)[0] for lane in Priority] == [0, 4, 4]
    assert [server.client.llen(lane.queue) for lane in Priority] == [1, 1, 1]


def test_a_round_leaves_no_key_behind(server, broker):
    """After as many rounds as you like there are the keys that are kept for ever, and no other."""
    client_id = unique("client")
    sender = Sender(broker, client_id)
    with connect(server.url) as connection:
        replies = ReplyReader(connection, client_id)
        for _ in range(3):
            block_id = unique("block")
            future = replies.expect(block_id)
            sender.send(block_id)
            server.client.rpop("risk.normal")
            broker.start(block_id, worker="w")
            broker.finish(block_id, b"answer")
            assert future.result(timeout=3) == b"answer"
        replies.close()

    assert server.key_names() == {lane_key(Priority.NORMAL), CLIENTS_KEY}


# --- the stamp


@pytest.fixture
def published(server) -> dict[str, str]:
    """Markets and limit sets as the stores publish them, by what is asked for."""
    ids = {word: unique(word) for word in ("market", "limits", "market name", "limits name")}
    server.client.hset(MARKETS_KEY, ids["market name"], ids["market"])
    server.client.hset(market_key(ids["market"]), "marks", "m")
    server.client.hset(LIMIT_SETS_KEY, ids["limits name"], ids["limits"])
    server.client.set(limits_key(ids["limits"]), "{}")
    return ids


@pytest.mark.parametrize(
    ("market", "limits", "required", "stamped"),
    [
        ("market name", "limits name", False, ("market", "limits")),
        ("market name", "limits name", True, ("market", "limits")),
        ("market", "limits", True, ("market", "limits")),
        (None, None, False, ("", "")),
        ("unknown", "unknown", False, ("", "")),
        ("unknown", "limits name", True, ("", "limits")),
    ],
    ids=["names", "names required", "ids", "none", "unknown", "unknown market"],
)
def test_a_block_is_stamped_as_it_is_accepted(
    broker, sender, published, market, limits, required, stamped
):
    """Names become ids, ids stay, and what there is not is the empty stamp."""
    asked = [published.get(word, word or "") for word in (market, limits)]

    block_id = sender.send(
        stamp=StampRequest(*asked, IfMissing.REFUSE if required else IfMissing.NONE)
    )

    expected = tuple(published.get(word, "") for word in stamped)
    assert (sender.stamp.market_id, sender.stamp.limits_version) == expected
    started = broker.start(block_id, worker="w")
    assert (started.stamp.market_id, started.stamp.limits_version) == expected


def test_a_required_limit_set_that_is_unknown_is_refused_with_nothing_kept(server, sender):
    """No entry, no message, no room taken."""
    before = server.content()

    with pytest.raises(UnknownLimitSetError, match="strict") as caught:
        sender.send(stamp=StampRequest("", "strict", if_missing=IfMissing.REFUSE))

    assert caught.value.field == "limits"
    assert server.content() == before


def test_a_stamp_stays_what_it_was_when_the_block_was_accepted(server, broker, sender, published):
    """What is published while a block waits is for later blocks."""
    stamp = StampRequest(published["market name"], published["limits name"])
    block_id = sender.send(stamp=stamp)
    server.client.hset(MARKETS_KEY, stamp.market, "newer market")
    server.client.hset(LIMIT_SETS_KEY, stamp.limits, "newer limits")

    started = broker.start(block_id, worker="w")

    assert (started.stamp.market_id, started.stamp.limits_version) == (
        published["market"],
        published["limits"],
    )


def test_the_same_block_enqueued_twice_is_one(server, sender, published):
    """A repeat, as after a lost reply, is one message under the stamp that it was given first."""
    stamp = StampRequest(published["market name"], published["limits name"])
    block_id = sender.send(stamp=stamp)
    first = sender.stamp
    server.client.hset(MARKETS_KEY, stamp.market, "newer market")
    before = server.content()

    sender.send(block_id, stamp=stamp)

    assert sender.stamp == first
    assert server.content() == before


# --- a full lane


@pytest.fixture
def small_batch(monkeypatch) -> None:
    """Let the batch lane hold ten checks."""
    monkeypatch.setitem(LANE_CAPACITY, Priority.BATCH, LaneCapacity(10, 1 << 20))


def test_a_full_lane_refuses_and_keeps_nothing(server, sender, small_batch):
    """The error says how deep the lane is and when to come back."""
    sender.send(lane=Priority.BATCH, n_checks=8)
    before = server.content()

    with pytest.raises(QueueFullError) as caught:
        sender.send(lane=Priority.BATCH, n_checks=3)

    assert (caught.value.depth, caught.value.capacity) == (8, 10)
    assert 0 < caught.value.retry_after_s < 60
    assert caught.value.retriable
    assert server.content() == before


def test_a_lane_may_be_filled_to_its_last_check(server, broker, sender, small_batch):
    """What fits exactly is accepted, other lanes have room, and what is answered makes room."""
    first = sender.send(lane=Priority.BATCH, n_checks=8)
    sender.send(lane=Priority.BATCH, n_checks=2)
    with pytest.raises(QueueFullError):
        sender.send(lane=Priority.BATCH, n_checks=1)
    sender.send(lane=Priority.NORMAL, n_checks=20)

    broker.finish(first, b"answer")
    sender.send(lane=Priority.BATCH, n_checks=8)

    assert server.lane(Priority.BATCH)[0] == 10


def test_a_block_larger_than_its_lane_passes_when_the_lane_is_empty(server, sender, small_batch):
    """Otherwise it could never be answered."""
    sender.send(lane=Priority.BATCH, n_checks=11)

    assert server.lane(Priority.BATCH)[0] == 11


def test_a_repeat_is_accepted_by_a_full_lane(server, sender, small_batch):
    """The block has its room already."""
    block_id = sender.send(lane=Priority.BATCH, n_checks=10)

    sender.send(block_id, lane=Priority.BATCH, n_checks=10)

    assert server.lane(Priority.BATCH)[0] == 10


# --- the first answer, and no other


def test_a_second_answer_is_counted_and_changes_nothing(server, broker, sender):
    """The first answer stands, the caller is woken once, and room is given back once."""
    block_id = sender.send()
    broker.finish(block_id, b"first")
    before = server.content()

    assert broker.finish(block_id, b"second") is False

    assert server.counter("duplicates") == 1
    after = server.content()
    after.pop("risk:counters")
    assert after == before


def test_of_many_answers_at_once_one_is_the_first(server, broker, sender):
    """Scripts do not interleave."""
    block_id = sender.send()

    with ThreadPoolExecutor(8) as pool:
        firsts = list(pool.map(lambda n: broker.finish(block_id, b"%d" % n), range(16)))

    assert firsts.count(True) == 1
    assert server.client.get(result_key(block_id)) == b"%d" % firsts.index(True)
    assert server.client.llen(reply_key(sender.client_id)) == 1
    assert server.counter("duplicates") == 15


def test_a_server_that_forgot_the_scripts_is_given_them_again(server, broker, sender):
    """As after its restart: every call works, whichever comes first."""
    server.client.script_flush()
    block_id = sender.send()
    server.client.script_flush()
    assert broker.start(block_id, worker="w").payload == PAYLOAD
    server.client.script_flush()
    assert broker.finish(block_id, b"answer")

    assert server.client.get(result_key(block_id)) == b"answer"
    assert server.lane(Priority.NORMAL) == (0, 0)
