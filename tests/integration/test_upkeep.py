"""The reaper and the sweeper: locks, rounds and log lines."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from risk_tasks.broker.blocks import Reaped, Swept
from risk_tasks.keys import (
    CLIENT_GONE_S,
    CLIENTS_KEY,
    LEDGER_KEY,
    REAPER_LOCK_KEY,
    REAPER_LOCK_TTL_S,
    block_key,
)
from risk_tasks.queues import MAX_REQUEUES
from risk_tasks.upkeep.ledger import Reaper, sweep

pytestmark = pytest.mark.integration

NOTHING = Reaped(0, 0, 0)


def lock_ms(server) -> int:
    return server.client.pttl(REAPER_LOCK_KEY)


def test_only_the_reaper_with_the_lock_works(server):
    """Each run renews the lock."""
    owner, other = Reaper(server.client), Reaper(server.client)

    assert owner.reap() == NOTHING
    assert 0 <= REAPER_LOCK_TTL_S * 1_000 - lock_ms(server) < 1_000
    assert other.reap() is None
    server.client.pexpire(REAPER_LOCK_KEY, 2_000)
    assert other.reap() is None
    assert lock_ms(server) <= 2_000
    assert owner.reap() == NOTHING
    assert 0 <= REAPER_LOCK_TTL_S * 1_000 - lock_ms(server) < 1_000


def test_another_reaper_takes_the_lock_of_a_stopped_one(server):
    """A reaper that returns does not get the lock back."""
    gone, other = Reaper(server.client), Reaper(server.client)
    gone.reap()
    server.client.delete(REAPER_LOCK_KEY)

    assert other.reap() == NOTHING
    assert gone.reap() is None


@pytest.mark.parametrize("what", ["requeued", "expired", "dead_lettered"])
def test_a_reaper_logs_its_work(server, broker, sender, hand, what):
    """It logs nothing if there was nothing to do."""
    reaper = Reaper(server.client)
    block_id = sender.send()
    hand.take()
    broker.start(block_id, worker="mortal")
    if what == "expired":
        server.client.hset(block_key(block_id), "deadline_ms", 1)
    if what == "dead_lettered":
        server.client.hset(block_key(block_id), "requeues", MAX_REQUEUES)

    with capture_logs() as logs:
        reaped = reaper.reap()
        assert reaper.reap() == NOTHING

    expected = {"requeued": 0, "expired": 0, "dead_lettered": 0, what: 1}
    assert reaped == Reaped(**expected)
    assert logs == [{"event": "blocks.reaped", "log_level": "warning", **expected}]


# --- the sweep


@pytest.mark.parametrize(("n_blocks", "n_clients"), [(210, 0), (0, 210)])
def test_a_sweep_continues_while_blocks_or_clients_are_left(
    server, broker, sender, n_blocks, n_clients
):
    """Also if there are only blocks, or only clients."""
    for _ in range(n_blocks):
        server.client.zadd(LEDGER_KEY, {sender.send(): 1})
    seen_ms = server.now_ms() - 1_000 * (CLIENT_GONE_S + 1)
    for number in range(n_clients):
        server.client.zadd(CLIENTS_KEY, {f"gone-{number}": seen_ms})

    assert sweep(broker) == Swept(n_blocks, n_clients, 0)


def test_a_sweep_ends_after_a_round_that_finds_nothing():
    rounds = [Swept(1, 0, 0), Swept(0, 1, 2), Swept(0, 0, 0), Swept(9, 9, 9)]

    class Canned:
        def sweep(self):
            return rounds.pop(0)

    assert sweep(Canned()) == Swept(1, 1, 2)
    assert rounds == [(9, 9, 9)]


def test_a_sweep_ends_even_if_every_round_finds_something():
    """The next sweep removes the rest."""

    class Endless:
        def sweep(self):
            return Swept(1, 2, 3)

    assert sweep(Endless()) == Swept(50, 100, 150)
