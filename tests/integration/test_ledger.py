"""The ledger: accepted blocks, the workers that hold them, dead letters, and what upkeep reads."""

from __future__ import annotations

import json
import logging
import os
import re

import pytest

from risk_tasks import Portfolio, RiskClient
from risk_tasks.broker.blocks import StampRequest
from risk_tasks.broker.dead_letters import DeadLetters
from risk_tasks.errors import (
    DeadLetterError,
    InvalidSettingsError,
    ReportTimeoutError,
    UnknownCheckError,
    UnknownLetterError,
)
from risk_tasks.keys import (
    DEAD_KEY,
    LEDGER_KEY,
    RESULT_TTL_S,
    block_key,
    dead_key,
    payload_key,
    reply_key,
    role_key,
    waiting_key,
)
from risk_tasks.model.report import Stamp
from risk_tasks.queues import FETCH_GRACE_S, LANE_OF_KIND, MAX_REQUEUES, Lane
from tests.integration.support import command, only_json, running, unique, wait_until

pytestmark = pytest.mark.integration

ONE = Portfolio("one", {"AAPL": 1.0})


def send(broker, *, lane=Lane.NORMAL, timeout_s=60.0, client_id=""):
    block_id = unique("block")
    broker.enqueue(
        block_id,
        b"payload",
        client_id=client_id,
        lane=lane,
        n_checks=3,
        timeout_s=timeout_s,
        stamp=StampRequest("", ""),
    )
    return block_id


def kill(server, broker, hand, block_id):
    """Let its worker die until the block is a dead letter."""
    for _ in range(MAX_REQUEUES + 1):
        assert hand.take() == block_id
        broker.start(block_id, worker="mortal")
        broker.reap()
    assert not server.client.exists(block_key(block_id))


def test_a_block_that_two_workers_started_belongs_to_the_second(server, broker, hand):
    """The death of the first worker changes nothing."""
    block_id = send(broker)
    hand.take()
    broker.start(block_id, worker="first")
    broker.start(block_id, worker="second")
    server.client.hset(role_key("second"), "name", "second")

    reaped = broker.reap(fetch_grace_s=0)

    assert reaped.requeued == 0
    assert server.client.llen("risk.normal") == 0


def age(server, block_id, *, by_s, lane=Lane.NORMAL):
    """Move the acceptance of a waiting block into the past; returns the new time."""
    enqueued_ms = int(server.client.hget(block_key(block_id), "enqueued_ms")) - int(by_s * 1e3)
    server.client.hset(block_key(block_id), "enqueued_ms", enqueued_ms)
    server.client.zadd(waiting_key(lane), {block_id: enqueued_ms})
    return enqueued_ms


def test_a_fetched_block_that_was_not_started_is_requeued_after_the_grace(server, broker, hand):
    """It is next in its lane, has a new grace, and keeps its time of acceptance."""
    block_id, waiting = send(broker), send(broker)
    assert hand.take() == block_id
    assert broker.reap().requeued == 0
    enqueued_ms = age(server, block_id, by_s=FETCH_GRACE_S)
    age(server, waiting, by_s=FETCH_GRACE_S)

    assert broker.reap().requeued == 1

    assert server.counter("requeued") == 1
    published_ms = int(server.client.hget(block_key(block_id), "published_ms"))
    assert abs(server.now_ms() - published_ms) < 1_000
    assert server.client.zscore(waiting_key(Lane.NORMAL), block_id) == enqueued_ms
    assert broker.reap().requeued == 0
    assert hand.take() == block_id
    assert broker.reap().requeued == 0
    server.client.hincrby(block_key(block_id), "published_ms", -int(FETCH_GRACE_S * 1e3) - 1)
    assert broker.reap().requeued == 1
    assert int(server.client.hget(block_key(block_id), "requeues")) == 2
    assert server.client.hget(block_key(waiting), "requeues") is None


@pytest.mark.parametrize("lane", Lane)
def test_every_lane_is_checked_for_lost_blocks(server, broker, hand, lane):
    """A lost block is requeued in its own lane."""
    block_id = send(broker, lane=lane)
    hand.take(lane)
    age(server, block_id, by_s=FETCH_GRACE_S + 1, lane=lane)

    assert broker.reap().requeued == 1

    assert server.client.llen(lane.queue) == 1


def test_a_block_that_waits_in_a_long_lane_is_not_requeued(server, broker, hand):
    """Only the end that workers read is checked for missing blocks."""
    fetched, *waiting = (send(broker) for _ in range(250))
    assert hand.take() == fetched
    for index, block_id in enumerate([fetched, *waiting]):
        age(server, block_id, by_s=1_000 - index)

    assert broker.reap().requeued == 1

    assert [message["headers"]["id"] for message in server.messages("risk.normal")] == [
        fetched,
        *waiting,
    ]
    assert all(server.client.hget(block_key(block_id), "requeues") is None for block_id in waiting)


def test_messages_with_any_json_spacing_are_found_in_a_lane(server, broker, hand):
    """kombu writes restored messages with blanks; other writers use any spacing."""
    fetched, waiting = send(broker), send(broker)
    hand.take()
    for block_id in (fetched, waiting):
        age(server, block_id, by_s=FETCH_GRACE_S + 1)
    (message,) = server.messages("risk.normal")
    server.client.delete("risk.normal")
    server.client.rpush("risk.normal", b"garbage", json.dumps(message))

    assert broker.reap().requeued == 1

    assert hand.take() == fetched


def test_the_blocks_of_a_dead_worker_are_requeued_first(server, broker, hand):
    """They are as if not started, ahead of those that wait; one round handles a hundred blocks."""
    held = [send(broker) for _ in range(120)]
    waiting = send(broker)
    for block_id in held:
        assert hand.take() == block_id
        broker.start(block_id, worker="mortal")
    enqueued_ms = int(server.client.hget(block_key(held[0]), "enqueued_ms"))

    assert broker.reap().requeued == 100
    assert broker.reap().requeued == 20

    assert server.counter("requeued") == 120
    assert server.messages("risk.normal")[-1]["headers"]["id"] == waiting
    entry = server.client.hgetall(block_key(held[0]))
    assert {b"worker", b"started_ms"}.isdisjoint(entry)
    assert server.client.zscore(waiting_key(Lane.NORMAL), held[0]) == enqueued_ms
    assert {"risk:held:mortal", "risk:holders"}.isdisjoint(server.key_names())
    assert server.lane(Lane.NORMAL)[0] == 121 * 3


def test_a_dead_worker_without_existing_blocks_is_removed(server, broker):
    """Another process removed its blocks."""
    server.client.sadd("risk:held:mortal", "no-such-block")
    server.client.zadd("risk:holders", {"mortal": 1})

    assert broker.reap().requeued == 0

    assert server.key_names() == {"risk:server"}


@pytest.mark.parametrize("max_requeues", [1, 2])
def test_a_block_is_requeued_a_limited_number_of_times(
    server, broker, hand, monkeypatch, max_requeues
):
    """Also if no worker ever started it; its caller receives an error."""
    monkeypatch.setattr("risk_tasks.broker.blocks.MAX_REQUEUES", max_requeues)
    blocks = [send(broker, client_id="waits") for _ in range(2)]
    looks = []
    for _ in range(max_requeues + 1):
        for block_id in blocks:
            hand.take()
            server.client.hdel(block_key(block_id), "published_ms")
            age(server, block_id, by_s=FETCH_GRACE_S + 1)
        reaped = broker.reap()
        looks.append((reaped.requeued, reaped.expired, reaped.dead_lettered))

    assert looks == [(2, 0, 0)] * max_requeues + [(0, 0, 2)]
    letters = DeadLetters(server.client).letters()
    assert {letter.reason for letter in letters} == {"it was fetched and never started"}
    replies = server.client.lrange(reply_key("waits"), 0, -1)
    assert sorted(replies) == sorted(
        f"{block_id} !dead it was fetched and never started".encode() for block_id in blocks
    )
    for key in (reply_key("waits"), *(f"risk:result:{block_id}" for block_id in blocks)):
        assert 0 <= RESULT_TTL_S - server.client.ttl(key) <= 5
    assert server.client.zcard(LEDGER_KEY) == server.client.zcard("risk:waiting:normal") == 0


def test_all_blocks_past_their_deadline_are_counted(server, broker, hand):
    """Each once."""
    for _ in range(2):
        block_id = send(broker)
        hand.take()
        broker.start(block_id, worker="mortal")
        server.client.hset(block_key(block_id), "deadline_ms", 1)

    assert broker.reap().expired == 2


def test_an_overdue_block_past_its_deadline_expires(server, broker, hand):
    """It is not requeued, because its caller has timed out."""
    block_id = send(broker)
    hand.take()
    broker.start(block_id, worker="mortal")
    server.client.hset(block_key(block_id), "deadline_ms", 1)

    assert broker.reap().expired == 1

    assert server.client.get(f"risk:result:{block_id}") == b"!expired"
    assert server.counter("expired") == 3
    assert server.lane(Lane.NORMAL) == (0, 0)


def test_a_block_that_kills_its_workers_becomes_a_dead_letter(server, broker, hand):
    """The letter has its reason and its original bytes; its room in the lane is released."""
    block_id = send(broker)

    kill(server, broker, hand, block_id)

    (letter,) = DeadLetters(server.client).letters()
    assert (letter.id, letter.lane, letter.n_checks) == (block_id, "normal", 3)
    assert (letter.payload, letter.n_requeues) == (b"payload", MAX_REQUEUES)
    assert block_id.encode() in letter.envelope
    assert letter.reason == "its workers died"
    assert server.client.get(f"risk:result:{block_id}").startswith(b"!dead")
    assert server.lane(Lane.NORMAL) == (0, 0)


def test_commands_list_show_replay_and_remove_dead_letters(server, broker, hand):
    """By the id that `dlq list` prints."""
    first, second = send(broker), send(broker)
    kill(server, broker, hand, first)
    kill(server, broker, hand, second)
    on_server = ("--broker-url", server.url)

    listed = only_json(command("dlq", "list", "--json", *on_server))
    shown = only_json(command("dlq", "show", first, "--json", *on_server))
    in_words = command("dlq", "show", first, *on_server)
    only_json(command("dlq", "replay", first, "--json", *on_server))
    only_json(command("dlq", "remove", second, "--json", *on_server))
    unknown = command("dlq", "remove", second, *on_server)

    assert [row["id"] for row in listed] == [second, first]
    assert shown["reason"] == "its workers died"
    assert shown["payload_base64"] == "cGF5bG9hZA=="
    assert "its workers died" in in_words.stdout
    assert server.client.llen("risk.normal") == 1
    assert server.lane(Lane.NORMAL)[0] == 3
    assert (unknown.returncode, "no dead letter" in unknown.stderr) == (1, True)
    assert command("dlq", "list", *on_server).stdout == "No dead letters.\n"
    assert int(server.client.hget("risk:counters", "dead_bytes")) == 0


def test_the_answer_of_a_replayed_block_is_read_by_its_id(server, broker, hand):
    """It keeps its stamp and gets a new deadline."""
    block_id = send(broker, client_id="waits")
    kill(server, broker, hand, block_id)
    n_told = server.client.llen(reply_key("waits"))

    DeadLetters(server.client).replay(block_id, timeout_s=30)

    assert not server.client.exists(f"risk:result:{block_id}")
    deadline_ms = server.client.zscore(LEDGER_KEY, block_id)
    assert 25_000 < deadline_ms - server.now_ms() <= 30_000
    assert int(server.client.hget(block_key(block_id), "deadline_ms")) == deadline_ms
    assert server.client.zscore(waiting_key(Lane.NORMAL), block_id) is not None
    assert server.lane(Lane.NORMAL) == (3, len(b"payload"))
    assert hand.take() == block_id
    assert broker.start(block_id, worker="healthy").payload == b"payload"
    assert broker.finish(block_id, b"in the end")
    assert server.client.get(f"risk:result:{block_id}") == b"in the end"
    assert server.client.llen(reply_key("waits")) == n_told == 1


def test_dead_letters_are_bounded(server, monkeypatch):
    """In number and in bytes; the oldest are removed and counted."""
    monkeypatch.setattr("risk_tasks.broker.dead_letters.MAX_DEAD", 5)
    monkeypatch.setattr("risk_tasks.broker.dead_letters.MAX_DEAD_BYTES", 300)
    letters = DeadLetters(server.client)

    kept = [letters.quarantine(b"x" * 100, lane="normal", reason="test") for _ in range(8)]

    assert {letter.id for letter in letters.letters()} == set(kept[-3:])
    assert server.counter("dead_dropped") == 5
    assert not server.client.exists(dead_key(kept[0]))
    with pytest.raises(InvalidSettingsError):
        letters.replay(kept[-1], timeout_s=1)
    with pytest.raises(UnknownLetterError):
        letters.letter(kept[0])


def test_the_latest_dead_letters_are_listed_first(server):
    """Also within one millisecond, and as many as requested."""
    letters = DeadLetters(server.client)
    kept = [letters.quarantine(b"x", lane="normal", reason="test") for _ in range(20)]

    assert [letter.id for letter in letters.letters()] == kept[::-1]
    assert [letter.id for letter in letters.letters(3)] == kept[:-4:-1]


def test_exactly_the_maximum_number_of_dead_letters_is_kept(server, monkeypatch):
    monkeypatch.setattr("risk_tasks.broker.dead_letters.MAX_DEAD", 3)
    letters = DeadLetters(server.client)

    kept = [letters.quarantine(b"x" * 10, lane="normal", reason="test") for _ in range(5)]

    assert [letter.id for letter in letters.letters()] == kept[:1:-1]
    assert server.counter("dead_bytes") == 30
    assert server.counter("dead_dropped") == 2
    assert server.counter("quarantined") == 5


def test_the_latest_dead_letter_is_kept_at_any_size(server, monkeypatch):
    """Otherwise its reason would be lost."""
    monkeypatch.setattr("risk_tasks.broker.dead_letters.MAX_DEAD_BYTES", 50)
    letters = DeadLetters(server.client)

    _, last = (letters.quarantine(b"x" * 100, lane="normal", reason="test") for _ in range(2))

    assert [letter.id for letter in letters.letters()] == [last]
    assert server.counter("dead_bytes") == 100


def test_a_malformed_message_is_kept_by_its_head_and_cannot_be_replayed(server):
    """It has no payload, counts no checks, and was never requeued."""
    letters = DeadLetters(server.client)
    message = bytes(range(256)) * 257

    letter = letters.letter(letters.quarantine(message, lane="batch", reason="no JSON"))

    assert letter.id.startswith("malformed-")
    assert (letter.reason, letter.lane) == ("no JSON", "batch")
    assert letter.envelope == message[: 1 << 16]
    assert (letter.n_checks, letter.n_requeues, letter.payload) == (0, 0, b"")
    assert abs(letter.died_at.timestamp() * 1e3 - server.now_ms()) < 1_000
    assert not letter.is_replayable
    before = server.content()
    with pytest.raises(InvalidSettingsError, match="malformed") as refused:
        letters.replay(letter.id, timeout_s=1)
    assert refused.value.field == "id"
    assert "dlq remove" in refused.value.remedy
    assert server.content() == before


def test_an_unknown_dead_letter_is_refused(server):
    """By every command, with the id in the message."""
    letters = DeadLetters(server.client)
    server.client.zadd(DEAD_KEY, {"vanished": 1})

    assert letters.letters() == []
    for ask in (
        letters.letter,
        lambda letter_id: letters.replay(letter_id, timeout_s=1),
        letters.remove,
    ):
        with pytest.raises(UnknownLetterError, match="'none'") as refused:
            ask("none")
        assert refused.value.field == "id"


def test_the_bytes_of_dead_letters_are_those_of_payload_and_message(server, broker, hand):
    """Removing or replaying a letter releases them."""
    dead = [send(broker) for _ in range(2)]
    for block_id in dead:
        kill(server, broker, hand, block_id)
    letters = DeadLetters(server.client)
    sizes = [len(letter.payload) + len(letter.envelope) for letter in letters.letters()]
    assert all(letter.is_replayable for letter in letters.letters())
    assert server.counter("dead_bytes") == sum(sizes)

    letters.remove(dead[1])
    assert server.counter("dead_bytes") == sizes[1]
    letters.replay(dead[0], timeout_s=30)

    assert server.counter("dead_bytes") == 0
    assert server.client.zcard(DEAD_KEY) == 0
    assert not any(key.startswith("risk:dead") for key in server.key_names())


def test_a_replayed_block_is_like_a_new_one(server, broker, hand):
    """It is last in its lane, and its entry has nothing of its first run."""
    block_id = send(broker, client_id="waits")
    kill(server, broker, hand, block_id)
    waiting = send(broker)
    fields = {*server.client.hkeys(block_key(waiting))}

    DeadLetters(server.client).replay(block_id, timeout_s=30)

    entry = server.client.hgetall(block_key(block_id))
    assert {*entry} == fields
    assert entry[b"client"] == b""
    enqueued_ms = int(entry[b"enqueued_ms"])
    assert abs(server.now_ms() - enqueued_ms) < 1_000
    assert int(entry[b"deadline_ms"]) == enqueued_ms + 30_000
    assert server.client.zscore(waiting_key(Lane.NORMAL), block_id) == enqueued_ms
    assert [hand.take(), hand.take()] == [waiting, block_id]


def test_the_payloads_of_dead_letters_are_bounded_too(server, broker, hand, monkeypatch):
    """The payload of the oldest letter is removed with it."""
    monkeypatch.setattr("risk_tasks.broker.blocks.MAX_DEAD", 2)
    ids = [send(broker) for _ in range(3)]
    kill(server, broker, hand, ids[0])
    kill(server, broker, hand, ids[1])
    held = server.counter("dead_bytes")
    kill(server, broker, hand, ids[2])

    assert held > 2 * len(b"payload")
    assert abs(server.counter("dead_bytes") - held) <= 2
    assert [letter.id for letter in DeadLetters(server.client).letters()] == [ids[2], ids[1]]
    assert not server.client.exists(payload_key(ids[0]))
    assert server.client.get(payload_key(ids[1])) == b"payload"


def test_removing_a_letter_deletes_its_payload_and_keeps_a_waiting_block(server, broker, hand):
    """Removing the id of a waiting block is refused, and the block stays complete."""
    dead, waiting = send(broker), send(broker)
    kill(server, broker, hand, dead)
    letters = DeadLetters(server.client)

    letters.remove(dead)
    with pytest.raises(UnknownLetterError):
        letters.remove(waiting)

    assert not server.client.exists(payload_key(dead))
    assert broker.start(waiting, worker="w").payload == b"payload"


def test_any_process_reads_submitted_checks_by_their_id(risk, fleet, book):
    """The id of the handle is enough, and the answer can be read twice."""
    handle = risk.submit(book)

    here = handle.result(timeout_s=20)
    with RiskClient(fleet.url) as other:
        there = other.result(handle.check_id, timeout_s=20)

    assert [report.portfolio_id for report in here] == [portfolio.id for portfolio in book]
    assert [report.input_hash for report in here] == [report.input_hash for report in there]


def test_a_late_answer_can_be_read_later(server, hand, clients, service, market):
    """By the id in the time-out error."""
    clients(server.url).publish_market(market)
    risk = clients(server.url)
    with pytest.raises(ReportTimeoutError) as late:
        risk.check(ONE, timeout_s=0.3)
    block_id = hand.take()
    server.client.hset(block_key(block_id), "deadline_ms", server.now_ms() + 60_000)
    block = hand.broker.start(block_id, worker="slow")
    hand.broker.finish(block_id, service.run(block.payload, Stamp(market.id)))

    (report,) = risk.result(late.value.check_id, timeout_s=5)

    assert report.portfolio_id == "one"


def test_an_unknown_id_raises_at_once(risk):
    """Without waiting for the time-out."""
    for check_id in ("nonsense", "never.0.1", f"{unique()}.7.2"):
        with pytest.raises(UnknownCheckError):
            risk.result(check_id, timeout_s=30)


def test_a_pending_check_and_an_unknown_one_raise_different_errors(server, clients):
    """This server has no workers."""
    risk = clients(server.url)
    handle = risk.submit([ONE])

    with pytest.raises(ReportTimeoutError) as late:
        handle.result(timeout_s=0.1)

    assert late.value.check_id == handle.check_id


def test_the_caller_of_a_dead_letter_gets_a_typed_error(server, broker, hand, clients):
    handle = clients(server.url).submit([ONE])
    for _ in range(MAX_REQUEUES + 1):
        broker.start(hand.take(), worker="mortal")
        broker.reap()

    with pytest.raises(DeadLetterError, match="its workers died") as dead:
        handle.result(timeout_s=5)

    assert dead.value.check_id == handle.check_id
    assert DeadLetters(server.client).letter(dead.value.letter_id).reason == "its workers died"


def test_a_slow_critical_check_is_logged_and_counted_with_its_stages(
    fleet_server, risk, caplog, monkeypatch
):
    """Queued, fetched, computed, replied."""
    monkeypatch.setattr("risk_tasks.client.connection.SLOW_CRITICAL_S", 0.0)
    before = fleet_server.counter("slow_critical")

    with caplog.at_level(logging.WARNING, logger="risk_tasks"):
        risk.check(ONE, priority="critical")
        risk.check(ONE, priority="normal")

    (message,) = [r.getMessage() for r in caplog.records if "critical.slow" in r.getMessage()]
    for part in ("total_ms", "queued_ms", "fetch_ms", "compute_ms", "reply_ms"):
        assert re.search(rf"{part}=[\d.]+", message), part
    assert fleet_server.counter("slow_critical") == before + 1


def test_a_worker_of_the_batch_lane_alone_runs_at_low_priority(server, tmp_path):
    """By the operating system's priority of its process."""
    log = tmp_path / "worker.log"
    arguments = ["-m", "risk_tasks", "worker", "--lanes", "batch"]
    settings = {"RISK_TASKS_BROKER_URL": server.url}
    with running(*arguments, log=log, settings=settings) as process:
        wait_until(lambda: server.client.keys("risk:role:*"), 60, "a worker")

        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 10


def test_the_default_lanes_of_the_kinds_of_messages():
    """One table: urgent, batch, and everything else."""
    lanes = {kind.removeprefix("risk."): lane.value for kind, lane in LANE_OF_KIND.items()}

    assert lanes == {
        "check": "normal",
        "check_block": "normal",
        "sweep": "normal",
        "prewarm": "batch",
        "limit_breach": "critical",
        "critical_event": "critical",
        "position_change": "batch",
        "portfolio_update": "batch",
    }


def test_commands_set_list_and_remove_quotas(server):
    """At first no client has one."""
    on_server = ("--broker-url", server.url)

    assert command("quota", "list", *on_server).stdout == "No client has a quota.\n"
    assert command("quota", "set", "orders", 50, *on_server).returncode == 0
    listed = only_json(command("quota", "list", "--json", *on_server))
    assert command("quota", "remove", "orders", *on_server).returncode == 0

    assert listed == [{"name": "orders", "checks_per_s": 50}]
    assert only_json(command("quota", "list", "--json", *on_server)) == []


def test_a_waiting_entry_without_a_block_is_removed(server, broker):
    """Otherwise every round would read it again."""
    server.client.zadd(waiting_key(Lane.NORMAL), {"gone": server.now_ms() - 60_000})

    broker.reap()

    assert server.client.zcard(waiting_key(Lane.NORMAL)) == 0
