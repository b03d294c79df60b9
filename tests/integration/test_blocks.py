"""The life of a block on the server, script by script, without workers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from risk_tasks.broker.blocks import SMALL_BYTES, IfMissing, StampRequest
from risk_tasks.client.replies import ReplyReader
from risk_tasks.connection import connect
from risk_tasks.errors import QueueFullError, QuotaExceededError, UnknownLimitSetError
from risk_tasks.keys import (
    CLIENTS_KEY,
    LEDGER_KEY,
    LIMIT_SETS_KEY,
    MARKETS_KEY,
    QUOTAS_KEY,
    RESULT_TTL_S,
    answer_key,
    block_key,
    lane_key,
    limits_key,
    market_key,
    payload_key,
    reply_key,
    result_key,
    waiting_key,
)
from risk_tasks.model.report import Stamp
from risk_tasks.queues import LANE_CAPACITY, Lane, LaneCapacity
from tests.integration.support import PAYLOAD, Sender, unique, wait_until

pytestmark = pytest.mark.integration


def test_an_accepted_block_waits_in_its_lane(server, sender):
    """It has one message, its payload under a key, an entry in the ledger, and uses room of its
    lane.
    """
    block_id = sender.send(n_checks=3, timeout_s=60.0)

    (message,) = server.messages(Lane.NORMAL.queue)
    assert message["headers"]["id"] == block_id
    assert server.lane(Lane.NORMAL) == (3, len(PAYLOAD))
    entry = server.client.hgetall(block_key(block_id))
    assert server.client.get(payload_key(block_id)) == PAYLOAD
    assert entry[b"client"].decode() == sender.client_id
    assert int(entry[b"deadline_ms"]) - int(entry[b"enqueued_ms"]) == 60_000
    assert abs(server.now_ms() - int(entry[b"enqueued_ms"])) < 5_000
    assert server.client.zscore(LEDGER_KEY, block_id) == int(entry[b"deadline_ms"])
    assert server.client.zscore(CLIENTS_KEY, sender.client_id) == int(entry[b"enqueued_ms"])
    since = server.client.zscore(waiting_key(Lane.NORMAL), block_id)
    assert since == int(entry[b"enqueued_ms"])


def test_a_lane_is_first_in_first_out(server, sender):
    sent = [sender.send() for _ in range(5)]

    assert [message["headers"]["id"] for message in server.messages("risk.normal")] == sent


def test_starting_a_block_returns_its_payload_and_its_stamp(server, broker, sender):
    """The worker also receives the time in the queue, and the ledger records the worker."""
    block_id = sender.send()

    block = broker.start(block_id, worker="worker-7")

    assert (block.payload, block.stamp) == (PAYLOAD, Stamp())
    assert 0 <= block.queued_ms < 5_000
    assert server.client.hget(block_key(block_id), "worker") == b"worker-7"
    assert server.lane(Lane.NORMAL)[0] == 3


def test_a_block_may_be_started_again(server, broker, sender):
    """A second worker receives the same block when the first one died."""
    block_id = sender.send()

    first, second = (broker.start(block_id, worker=name) for name in ("a", "b"))

    assert first.payload == second.payload
    assert server.client.hget(block_key(block_id), "worker") == b"b"


def test_finishing_a_block_wakes_its_caller_and_removes_everything_else(server, broker, sender):
    """Answer and reply expire within 900 s; entry, payload, ledger and room are released."""
    block_id = sender.send()
    broker.start(block_id, worker="w")

    assert broker.finish(block_id, b"\xffanswer\x00") is not None

    assert server.client.get(result_key(block_id)) == b"\xffanswer\x00"
    replies = server.client.lrange(reply_key(sender.client_id), 0, -1)
    assert replies == [block_id.encode() + b" \xffanswer\x00"]
    for key in (result_key(block_id), reply_key(sender.client_id)):
        assert 0 < server.client.ttl(key) <= RESULT_TTL_S
    assert server.lane(Lane.NORMAL) == (0, 0)
    assert server.client.zcard(LEDGER_KEY) == 0
    assert {block_key(block_id), payload_key(block_id)}.isdisjoint(server.key_names())


def test_a_block_without_a_client_writes_no_reply(server, broker, sender):
    """Its answer is read by its id; no client is recorded as seen."""
    block_id = sender.send(client_id="")

    assert broker.finish(block_id, b"answer") is not None

    assert server.client.get(result_key(block_id)) == b"answer"
    assert server.key_names() == {"risk.normal", lane_key(Lane.NORMAL), result_key(block_id)}


def test_a_block_without_a_client_or_result_leaves_no_key(server, broker, sender):
    """Whether it is answered (small or large), expires or becomes a dead letter."""
    small, large, late, dead = (
        sender.send(client_id="", keeps_answer=False, timeout_s=timeout_s)
        for timeout_s in (60.0, 60.0, 0.001, 60.0)
    )
    assert not broker.start(small, worker="w").keeps_answer
    assert broker.start(sender.send(), worker="w").keeps_answer

    assert broker.finish(small, b"") is not None
    assert broker.finish(large, bytes(100_000)) is not None
    wait_until(lambda: broker.start(late, worker="w") is None, 5)
    server.client.hset(block_key(dead), "requeues", 3)
    server.client.delete("risk.normal")
    wait_until(lambda: broker.reap(fetch_grace_s=0.01).dead_lettered, 5)

    assert broker.finish(small, b"") is None
    kept = {key for key in server.key_names() if key.startswith(("risk:result", "risk:answer"))}
    assert kept == set()
    assert server.lane(Lane.NORMAL) == (3, len(PAYLOAD))


def test_starting_a_block_moves_it_from_the_waiting_to_its_worker(server, broker, sender):
    """The time in the queue is returned; the worker is recorded until it answers."""
    block_id = sender.send()
    entry = block_key(block_id)
    server.client.hset(entry, mapping={"enqueued_ms": server.now_ms() - 700, "enqueued_us": 0})

    block = broker.start(block_id, worker="w")

    assert 700 <= block.queued_ms < 2_000
    assert abs(server.now_ms() - int(server.client.hget(entry, "started_ms"))) < 2_000
    assert server.client.zcard(waiting_key(Lane.NORMAL)) == 0
    assert server.client.smembers("risk:held:w") == {block_id.encode()}
    since = server.client.zscore("risk:holders", "w")
    assert since == int(server.client.hget(entry, "started_ms"))
    broker.finish(block_id, b"answer")
    assert {"risk:held:w", "risk:holders"}.isdisjoint(server.key_names())


def test_a_worker_stays_recorded_until_its_last_block_is_answered(server, broker, sender):
    """A block that another worker started later belongs to that worker."""
    blocks = [sender.send() for _ in range(3)]
    for block_id in blocks:
        broker.start(block_id, worker="first")

    broker.start(blocks[0], worker="second")
    broker.finish(blocks[1], b"answer")

    assert server.client.smembers("risk:held:first") == {blocks[2].encode()}
    assert server.client.smembers("risk:held:second") == {blocks[0].encode()}
    assert set(server.client.zrange("risk:holders", 0, -1)) == {b"first", b"second"}
    broker.finish(blocks[2], b"answer")
    assert server.client.zrange("risk:holders", 0, -1) == [b"second"]


def test_a_block_without_a_payload_is_not_started(server, broker, sender):
    block_id = sender.send()
    server.client.delete(payload_key(block_id))

    assert broker.start(block_id, worker="w") is None


# --- large payloads are written outside the scripts


LARGE = b"\xff" * (SMALL_BYTES + 1)


def test_a_large_block_is_stored_with_all_of_its_bytes(server, broker, sender):
    """Its bytes count like those of a small one."""
    block_id = sender.send(payload=LARGE)

    assert server.lane(Lane.NORMAL) == (3, len(LARGE))
    assert broker.start(block_id, worker="w").payload == LARGE


@pytest.mark.parametrize("n_bytes", [SMALL_BYTES, SMALL_BYTES + 1])
def test_the_reply_of_a_large_answer_holds_only_its_id(server, broker, sender, n_bytes):
    """A small answer is in the reply; both are stored under the id until they expire."""
    block_id = sender.send()
    answer = b"\xff" * n_bytes

    assert broker.finish(block_id, answer) is not None

    inline = b" " + answer if n_bytes <= SMALL_BYTES else b""
    replies = server.client.lrange(reply_key(sender.client_id), 0, -1)
    assert replies == [block_id.encode() + inline]
    assert server.client.get(result_key(block_id)) == answer
    for key in (result_key(block_id), reply_key(sender.client_id)):
        assert 0 <= RESULT_TTL_S - server.client.ttl(key) <= 5
    assert answer_key(block_id) not in server.key_names()


def test_a_large_payload_and_its_script_are_one_transaction(server, broker, sender):
    """No other client reads a payload without its block; small payloads need no transaction."""

    def transactions():
        return server.client.info("commandstats").get("cmdstat_multi", {"calls": 0})["calls"]

    block_id = sender.send()
    broker.start(block_id, worker="w")
    broker.finish(block_id, b"answer")
    assert transactions() == 0

    broker.finish(sender.send(payload=LARGE), LARGE)

    assert transactions() == 2


def test_a_second_large_answer_leaves_no_key(server, broker, sender):
    """It is written outside the script, and the script deletes it."""
    block_id = sender.send()
    broker.finish(block_id, b"first")

    assert broker.finish(block_id, LARGE) is None

    assert server.client.get(result_key(block_id)) == b"first"
    assert answer_key(block_id) not in server.key_names()
    assert server.counter("duplicates") == 1


def test_a_large_block_is_accepted_after_the_server_lost_its_scripts(server, broker, sender):
    """The whole transaction is repeated."""
    server.client.script_flush()
    block_id = sender.send(payload=LARGE)
    server.client.script_flush()

    assert broker.finish(block_id, LARGE) is not None

    assert server.client.get(result_key(block_id)) == LARGE
    assert server.lane(Lane.NORMAL) == (0, 0)


def test_each_lane_has_its_own_counters(server, broker, sender):
    """A block uses and releases room in its own lane only."""
    sent = {lane: sender.send(lane=lane, n_checks=4) for lane in Lane}
    broker.finish(sent[Lane.CRITICAL], b"answer")

    assert [server.lane(lane)[0] for lane in Lane] == [0, 4, 4]
    assert [server.client.llen(lane.queue) for lane in Lane] == [1, 1, 1]


def test_a_complete_round_leaves_only_permanent_keys(server, broker):
    """After any number of rounds."""
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

    assert server.key_names() == {lane_key(Lane.NORMAL), CLIENTS_KEY}


# --- the stamp


@pytest.fixture
def published(server) -> dict[str, str]:
    """Markets and limit sets, published as the stores publish them; the key is their name."""
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
def test_a_block_is_stamped_when_it_is_accepted(
    broker, sender, published, market, limits, required, stamped
):
    """Names become ids, ids stay, and an unknown name gets an empty stamp."""
    named = [published.get(word, word or "") for word in (market, limits)]

    block_id = sender.send(
        stamp=StampRequest(*named, IfMissing.REFUSE if required else IfMissing.NONE)
    )

    expected = tuple(published.get(word, "") for word in stamped)
    assert (sender.stamp.market_id, sender.stamp.limits_version) == expected
    started = broker.start(block_id, worker="w")
    assert (started.stamp.market_id, started.stamp.limits_version) == expected


def test_an_unknown_required_limit_set_is_refused_and_leaves_no_key(server, sender):
    """No entry, no message, and no room is used."""
    before = server.content()

    with pytest.raises(UnknownLimitSetError, match="strict") as caught:
        sender.send(stamp=StampRequest("", "strict", if_missing=IfMissing.REFUSE))

    assert caught.value.field == "limits"
    assert server.content() == before


def test_a_stamp_does_not_change_while_a_block_waits(server, broker, sender, published):
    """A later publication applies to later blocks."""
    stamp = StampRequest(published["market name"], published["limits name"])
    block_id = sender.send(stamp=stamp)
    server.client.hset(MARKETS_KEY, stamp.market, "newer market")
    server.client.hset(LIMIT_SETS_KEY, stamp.limits, "newer limits")

    started = broker.start(block_id, worker="w")

    assert (started.stamp.market_id, started.stamp.limits_version) == (
        published["market"],
        published["limits"],
    )


def test_enqueuing_a_block_twice_gives_one_message(server, sender, published):
    """A repeat, as after a lost reply, keeps the first stamp."""
    stamp = StampRequest(published["market name"], published["limits name"])
    block_id = sender.send(stamp=stamp)
    first = sender.stamp
    server.client.hset(MARKETS_KEY, stamp.market, "newer market")
    before = server.content()

    sender.send(block_id, stamp=stamp)

    assert sender.stamp == first
    assert server.content() == before


def test_an_unknown_limit_set_that_is_not_required_is_stamped_by_its_name(
    broker, sender, published
):
    """The worker then reports each check; a published set is stamped by its version."""
    for limits, stamped in (("strict", "strict"), (published["limits name"], published["limits"])):
        block_id = sender.send(stamp=StampRequest("", limits, if_missing=IfMissing.ANSWER))

        assert sender.stamp.limits_version == stamped
        assert broker.start(block_id, worker="w").stamp == sender.stamp


# --- a full lane


@pytest.fixture
def small_batch(monkeypatch) -> None:
    """Limit the batch lane to ten checks."""
    monkeypatch.setitem(LANE_CAPACITY, Lane.BATCH, LaneCapacity(10, 1 << 20))


def test_a_full_lane_refuses_a_block_and_stores_nothing(server, sender, small_batch):
    """The error has the depth of the lane and the time after which to retry."""
    sender.send(lane=Lane.BATCH, n_checks=8)
    before = server.content()

    with pytest.raises(QueueFullError) as caught:
        sender.send(lane=Lane.BATCH, n_checks=3)

    assert (caught.value.depth, caught.value.capacity) == (8, 10)
    assert 0 < caught.value.retry_after_s < 60
    assert caught.value.retriable
    assert server.content() == before


def test_a_lane_can_be_filled_completely(server, broker, sender, small_batch):
    """A block that fits exactly is accepted, other lanes are not affected, answers release room."""
    first = sender.send(lane=Lane.BATCH, n_checks=8)
    sender.send(lane=Lane.BATCH, n_checks=2)
    with pytest.raises(QueueFullError):
        sender.send(lane=Lane.BATCH, n_checks=1)
    sender.send(lane=Lane.NORMAL, n_checks=20)

    broker.finish(first, b"answer")
    sender.send(lane=Lane.BATCH, n_checks=8)

    assert server.lane(Lane.BATCH)[0] == 10


def test_an_empty_lane_accepts_a_block_larger_than_the_lane(server, sender, small_batch):
    """Otherwise it could never be answered."""
    sender.send(lane=Lane.BATCH, n_checks=11)

    assert server.lane(Lane.BATCH)[0] == 11


def test_a_lane_with_one_check_refuses_a_block_larger_than_the_lane(sender, small_batch):
    """Such a block needs an empty lane."""
    sender.send(lane=Lane.BATCH, n_checks=1)

    with pytest.raises(QueueFullError, match="1 checks of 10"):
        sender.send(lane=Lane.BATCH, n_checks=11)


def test_a_full_lane_accepts_a_repeat(server, sender, small_batch):
    """The block has room already."""
    block_id = sender.send(lane=Lane.BATCH, n_checks=10)

    sender.send(block_id, lane=Lane.BATCH, n_checks=10)

    assert server.lane(Lane.BATCH)[0] == 10


def test_a_lane_is_bounded_in_bytes(server, sender, monkeypatch):
    """The bound is exact; a refused block leaves no key, small or large."""
    capacity = LaneCapacity(1_000, 2 * len(PAYLOAD))
    monkeypatch.setitem(LANE_CAPACITY, Lane.BATCH, capacity)
    sender.send(lane=Lane.BATCH)
    sender.send(lane=Lane.BATCH)
    before = server.content()

    for payload in (b"x", LARGE):
        with pytest.raises(QueueFullError, match="18 bytes of 18") as caught:
            sender.send(lane=Lane.BATCH, payload=payload)

        assert (caught.value.depth, caught.value.capacity) == (18, 18)
    assert server.content() == before


@pytest.mark.parametrize(
    ("n_settled", "within_ms", "expected_s"),
    [
        (10, 1_000, (0.3, 0.4)),
        (1_000, 1_000, (0.05, 0.05)),
        (1, 10_000, (5.0, 5.0)),
        (0, 1_000, (1.0, 1.0)),
        (0, 0, (1.0, 1.0)),
    ],
    ids=["as it drains", "at least", "at most", "nothing drains", "no rate yet"],
)
def test_a_full_lane_reports_when_the_block_will_fit(
    server, sender, small_batch, n_settled, within_ms, expected_s
):
    """From the rate of the last seconds, between 50 ms and 5 s."""
    sender.send(lane=Lane.BATCH, n_checks=9)
    if within_ms:
        mark = {"completed": 500 + n_settled, "mark_completed": 500}
        mark["mark_ms"] = server.now_ms() - within_ms
        server.client.hset(lane_key(Lane.BATCH), mapping=mark)

    with pytest.raises(QueueFullError, match="9 checks of 10") as caught:
        sender.send(lane=Lane.BATCH, n_checks=3)

    assert expected_s[0] <= caught.value.retry_after_s <= expected_s[1]


def test_the_rate_of_a_lane_is_measured_over_at_least_two_seconds(server, broker, sender):
    """A settled block sets the mark of the measurement when the last mark is older than that."""
    blocks = [sender.send(n_checks=n_checks) for n_checks in (2, 3, 4)]

    def mark():
        fields = server.client.hmget(
            lane_key(Lane.NORMAL), "completed", "mark_completed", "mark_ms"
        )
        return [int(field) for field in fields]

    broker.finish(blocks[0], b"answer")
    settled, at_mark, since = mark()
    assert (settled, at_mark) == (2, 0)
    assert abs(server.now_ms() - since) < 1_000
    since -= 900
    server.client.hset(lane_key(Lane.NORMAL), "mark_ms", since)
    broker.finish(blocks[1], b"answer")
    assert mark() == [5, 0, since]
    server.client.hset(lane_key(Lane.NORMAL), "mark_ms", server.now_ms() - 2_001)
    broker.finish(blocks[2], b"answer")
    settled, at_mark, since = mark()
    assert (settled, at_mark) == (9, 5)
    assert abs(server.now_ms() - since) < 1_000


# --- quotas


CRITICAL = Lane.CRITICAL


@pytest.fixture
def quota(server) -> str:
    """The name of a client that may send ten critical checks per second."""
    name = unique("quota")
    server.client.hset(QUOTAS_KEY, name, 10)
    return name


def bucket(server, name: str) -> tuple[float, int]:
    """The rest of a quota, and its time."""
    left, at_ms = server.client.hmget(f"risk:quota:{name}", "left", "at_ms")
    return float(left), int(at_ms)


def test_a_client_over_its_quota_is_refused_and_nothing_is_stored(server, sender, quota):
    """The error has the quota and the time after which to retry."""
    sender.send(lane=CRITICAL, n_checks=10, quota_name=quota)
    assert bucket(server, quota)[0] == 0
    before = server.content()

    for payload in (PAYLOAD, LARGE):
        with pytest.raises(QuotaExceededError, match=quota) as caught:
            sender.send(lane=CRITICAL, n_checks=5, quota_name=quota, payload=payload)

        assert caught.value.checks_per_s == 10
        assert 0.05 < caught.value.retry_after_s <= 0.5
    assert server.content() == before


def test_a_quota_limits_the_critical_checks_of_its_client_alone(server, sender, quota):
    """Other lanes, other clients and clients without a name are not limited."""
    sender.send(lane=CRITICAL, n_checks=10, quota_name=quota)

    sender.send(lane=Lane.NORMAL, n_checks=50, quota_name=quota)
    sender.send(lane=CRITICAL, n_checks=50, quota_name="another")
    sender.send(lane=CRITICAL, n_checks=50, quota_name="")

    assert server.lane(CRITICAL)[0] == 110
    assert [key for key in server.key_names() if key.startswith("risk:quota:")] == [
        f"risk:quota:{quota}"
    ]


def test_a_quota_can_be_used_completely_and_refills_at_its_rate(server, sender, quota):
    """A block uses the rest and what was refilled since."""
    now = server.now_ms()
    state = {"left": 2, "at_ms": now - 300}
    server.client.hset(f"risk:quota:{quota}", mapping=state)

    sender.send(lane=CRITICAL, n_checks=4, quota_name=quota)

    left, at_ms = bucket(server, quota)
    assert 0 <= at_ms - now < 1_000
    assert left == pytest.approx(2 + 3 + (at_ms - now) / 100 - 4)


def test_a_quota_holds_at_most_one_second_and_is_deleted_when_it_is_full(server, sender, quota):
    """A client that was idle for long may send one second's quota at once."""
    state = {"left": 7, "at_ms": server.now_ms() - 60_000}
    server.client.hset(f"risk:quota:{quota}", mapping=state)

    sender.send(lane=CRITICAL, n_checks=8, quota_name=quota)

    assert bucket(server, quota)[0] == 2
    assert 0 <= 5_800 - server.client.pttl(f"risk:quota:{quota}") < 1_000


def test_a_full_quota_accepts_a_larger_block_and_goes_into_debt(server, sender, quota):
    """Otherwise the block could never be accepted; later blocks wait until the debt is repaid."""
    sender.send(lane=CRITICAL, n_checks=25, quota_name=quota)

    assert bucket(server, quota)[0] == -15
    assert server.client.pttl(f"risk:quota:{quota}") > 2_000
    for n_checks, retry_after_s in ((1, 1.6), (25, 2.5)):
        with pytest.raises(QuotaExceededError) as caught:
            sender.send(lane=CRITICAL, n_checks=n_checks, quota_name=quota)
        assert 0 <= retry_after_s - caught.value.retry_after_s < 0.5


# --- only the first answer counts


def test_a_second_answer_is_counted_and_changes_nothing(server, broker, sender):
    """The first answer stays, the caller wakes once, and room is released once."""
    block_id = sender.send()
    broker.finish(block_id, b"first")
    before = server.content()

    assert broker.finish(block_id, b"second") is None

    assert server.counter("duplicates") == 1
    after = server.content()
    after.pop("risk:counters")
    assert after == before


def test_times_have_microseconds_of_the_servers_clock(server, broker, sender):
    """Queue time and total time both start when the block is accepted."""
    block_id = sender.send()
    entry = block_key(block_id)
    assert 0 <= int(server.client.hget(entry, "enqueued_us")) < 1_000
    # accepted an hour ago; 9 s in microseconds, far beyond noise
    accepted_ms = server.now_ms() - 3_600_000
    server.client.hset(entry, mapping={"enqueued_ms": accepted_ms, "enqueued_us": 9_000_000})

    queued_ms = broker.start(block_id, worker="w").queued_ms
    total_ms = broker.finish(block_id, b"answer")

    assert 3_591_000 <= queued_ms < total_ms < 3_595_000
    assert (queued_ms % 1, total_ms % 1) != (0, 0)
    assert broker.finish(block_id, b"again") is None


def test_only_the_first_of_many_concurrent_answers_counts(server, broker, sender):
    """Scripts run one at a time."""
    block_id = sender.send()

    with ThreadPoolExecutor(8) as pool:
        firsts = list(pool.map(lambda n: broker.finish(block_id, b"%d" % n), range(16)))

    (first,) = [n for n, total_ms in enumerate(firsts) if total_ms is not None]
    assert server.client.get(result_key(block_id)) == b"%d" % first
    assert server.client.llen(reply_key(sender.client_id)) == 1
    assert server.counter("duplicates") == 15


def test_scripts_are_loaded_again_after_the_server_lost_them(server, broker, sender):
    """As after a restart: every call works, in any order."""
    server.client.script_flush()
    block_id = sender.send()
    server.client.script_flush()
    assert broker.start(block_id, worker="w").payload == PAYLOAD
    server.client.script_flush()
    assert broker.finish(block_id, b"answer")

    assert server.client.get(result_key(block_id)) == b"answer"
    assert server.lane(Lane.NORMAL) == (0, 0)
