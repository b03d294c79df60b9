"""What a role that waits asks of its server: one server carries as many as it can answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from risk_tasks.keys import CACHE_COUNTS_KEY, MARKETS_KEY, ROLE_TTL_S, ROLES_KEY, role_key
from risk_tasks.queues import Lane
from risk_tasks.roles.result_cache import CacheReport, open_cache
from risk_tasks.service import Popularity
from risk_tasks.settings import Settings
from risk_tasks.store.prewarm import PopularityStore
from risk_tasks.store.published import MarketStore
from risk_tasks.store.roles import CacheCountsStore, RoleStore, RunningRole, forget_gone
from risk_tasks.store.shards import ShardStore
from risk_tasks.store.telemetry import Slot, SlotStore, slot_number
from tests.integration.support import unique, wait_until

pytestmark = pytest.mark.integration

_WATCHED_S = 6.0
ROLE = RunningRole("w", "worker", "normal", "host", 1)


def calls(client) -> Counter[str]:
    """How often each command was answered since the server began."""
    stats = client.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()})


@contextmanager
def counted(client) -> Iterator[dict[str, int]]:
    """The commands by name that are answered within; whole at the end."""
    found: dict[str, int] = {}
    before = calls(client)
    yield found
    for name, n in calls(client).items():
        if name != "info" and n > before.get(name, 0):
            found[name] = n - before.get(name, 0)


def test_a_worker_that_waits_asks_five_times_a_second(bare):
    """Eight, with what comes every fifteen seconds; events that nobody hears are every fourth."""
    with counted(bare.client) as commands:
        time.sleep(_WATCHED_S)

    assert 0 < sum(commands.values()) <= 8 * _WATCHED_S, commands
    assert commands.get("publish", 0) <= 2
    assert commands["brpop"] >= _WATCHED_S / 2
    assert commands["expire"] >= _WATCHED_S / 2


def test_a_worker_loads_a_market_that_nobody_asked_for_yet(bare, market):
    """The first block upon it does not wait for it."""
    name = unique("market")
    with counted(bare.client) as commands:
        # Other tests of this server have read hashes too.
        n_before = calls(bare.client)["hmget"]
        # Of prices that no other test has: one that is held already is not loaded.
        prices = np.array(market.prices) * np.random.default_rng().uniform(0.5, 1.5)
        MarketStore(bare.client).publish(market.with_prices(prices, as_of=market.as_of), name)
        wait_until(lambda: calls(bare.client)["hmget"] > n_before, 10, "a load")
    bare.client.hdel(MARKETS_KEY, name)

    assert commands["hmget"] == 1


def test_a_role_says_with_one_command_that_it_lives_on(server):
    roles = RoleStore(server.client)
    roles.renew(ROLE)
    server.client.expire(role_key("w"), 1)

    with counted(server.client) as commands:
        roles.renew(ROLE)

    assert commands == {"expire": 1}
    assert server.client.pttl(role_key("w")) > 1_000
    assert roles.running() == [ROLE]


def test_a_worker_asks_for_the_markets_in_the_same_breath(server):
    roles = RoleStore(server.client)
    server.client.hset(MARKETS_KEY, "default", "an-id")
    roles.renew_and_look(ROLE)

    with counted(server.client) as commands:
        assert roles.renew_and_look(ROLE) == {"default": "an-id"}

    assert commands == {"expire": 1, "hgetall": 1}


@pytest.mark.parametrize("say", [RoleStore.renew, RoleStore.renew_and_look])
def test_an_entry_that_is_gone_comes_back_whole(server, say):
    """Its role was away for longer than its life, or the server was emptied."""
    roles = RoleStore(server.client)
    roles.announce(ROLE)
    server.client.delete(role_key("w"), ROLES_KEY)
    assert roles.running() == []

    say(roles, ROLE)

    assert roles.running() == [ROLE]
    assert 0 < server.client.pttl(role_key("w")) <= ROLE_TTL_S * 1_000


def test_a_name_that_was_said_again_in_between_stays_listed(server):
    """Who looked saw no entry; it is there by the time that the name would be forgotten."""
    roles = RoleStore(server.client)
    roles.announce(ROLE)
    server.client.sadd(ROLES_KEY, "gone")

    forget_gone(server.client, ROLES_KEY, role_key, ["gone", "w"])

    assert server.client.smembers(ROLES_KEY) == {b"w"}


def test_who_lists_the_living_forgets_the_others(server):
    roles = RoleStore(server.client)
    roles.announce(ROLE)
    server.client.sadd(ROLES_KEY, "gone")

    assert roles.running() == [ROLE]
    assert server.client.smembers(ROLES_KEY) == {b"w"}


def test_leases_are_renewed_by_as_many_commands_however_many_shards_there_are(server):
    """As long as nothing waits in any."""
    shards = ShardStore(server.client)
    shards.renew("w", 64, [Lane.NORMAL])

    with counted(server.client) as commands:
        shards.renew("w", 64, [Lane.NORMAL])

    assert (commands["exists"], commands["zrange"], commands["evalsha"]) == (1, 1, 1)
    assert sum(commands.values()) == 10


def test_a_slot_that_is_written_again_is_three_commands(server):
    """The first of it forgets the old ones too."""
    slots = SlotStore(server.client)
    number = slot_number(slots.now_s())

    with counted(server.client) as first:
        slots.write(number, "w", Slot(1, 1.0))
    with counted(server.client) as again:
        slots.write(number, "w", Slot(1, 2.0), is_first=False)

    assert first == {"set": 1, "zadd": 1, "zremrangebyscore": 1, "time": 1}
    assert again == {"set": 1, "zadd": 1, "time": 1}
    assert [slot.covered_s for slot in slots.read(5).slots] == [2.0]


def test_a_cache_that_nobody_asks_and_what_nobody_asked_for_are_not_told(server):
    """Once it has said how it stands."""
    cache = open_cache(Settings.read(broker_url=server.url))
    report = CacheReport(cache, CacheCountsStore(server.client), "w")
    popularity = Popularity(PopularityStore(server.client))
    report.flush()
    assert server.client.smembers(CACHE_COUNTS_KEY) == {b"w"}

    with counted(server.client) as commands:
        report.flush()
        popularity.flush()

    assert commands == {}
