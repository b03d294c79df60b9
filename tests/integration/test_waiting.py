"""The commands that an idle role sends to its server, which bound the number of roles."""

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
    """The number of calls of each command since the server started."""
    stats = client.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()})


@contextmanager
def counted(client) -> Iterator[dict[str, int]]:
    """Count the commands inside the block; complete at its end."""
    found: dict[str, int] = {}
    before = calls(client)
    yield found
    for name, n in calls(client).items():
        if name != "info" and n > before.get(name, 0):
            found[name] = n - before.get(name, 0)


def test_an_idle_worker_sends_five_commands_a_second(bare):
    """Eight with those of every fifteen seconds; one in four is an event without a listener."""
    with counted(bare.client) as commands:
        time.sleep(_WATCHED_S)

    assert 0 < sum(commands.values()) <= 8 * _WATCHED_S, commands
    assert commands.get("publish", 0) <= 2
    assert commands["brpop"] >= _WATCHED_S / 2
    assert commands["expire"] >= _WATCHED_S / 2


def test_a_worker_loads_a_new_market_before_its_first_block(bare, market):
    """The first block does not wait for the market."""
    name = unique("market")
    with counted(bare.client) as commands:
        # Other tests of this server have read hashes too.
        n_before = calls(bare.client)["hmget"]
        # With prices of its own: a market that is held already is not loaded.
        prices = np.array(market.prices) * np.random.default_rng().uniform(0.5, 1.5)
        MarketStore(bare.client).publish(market.with_prices(prices, as_of=market.as_of), name)
        wait_until(lambda: calls(bare.client)["hmget"] > n_before, 10, "a load")
    bare.client.hdel(MARKETS_KEY, name)

    assert commands["hmget"] == 1


def test_a_role_renews_its_entry_with_one_command(server):
    roles = RoleStore(server.client)
    roles.renew(ROLE)
    server.client.expire(role_key("w"), 1)

    with counted(server.client) as commands:
        roles.renew(ROLE)

    assert commands == {"expire": 1}
    assert server.client.pttl(role_key("w")) > 1_000
    assert roles.running() == [ROLE]


def test_a_worker_reads_the_markets_in_the_same_round_trip(server):
    roles = RoleStore(server.client)
    server.client.hset(MARKETS_KEY, "default", "an-id")
    roles.renew_and_read_markets(ROLE)

    with counted(server.client) as commands:
        assert roles.renew_and_read_markets(ROLE) == {"default": "an-id"}

    assert commands == {"expire": 1, "hgetall": 1}


@pytest.mark.parametrize("say", [RoleStore.renew, RoleStore.renew_and_read_markets])
def test_an_expired_entry_is_written_again(server, say):
    """The role did not renew it in time, or the server was emptied."""
    roles = RoleStore(server.client)
    roles.announce(ROLE)
    server.client.delete(role_key("w"), ROLES_KEY)
    assert roles.running() == []

    say(roles, ROLE)

    assert roles.running() == [ROLE]
    assert 0 < server.client.pttl(role_key("w")) <= ROLE_TTL_S * 1_000


def test_a_name_that_is_renewed_while_it_is_removed_stays_listed(server):
    """The entry was missing when it was read, and exists when the name would be removed."""
    roles = RoleStore(server.client)
    roles.announce(ROLE)
    server.client.sadd(ROLES_KEY, "gone")

    forget_gone(server.client, ROLES_KEY, role_key, ["gone", "w"])

    assert server.client.smembers(ROLES_KEY) == {b"w"}


def test_listing_the_roles_removes_expired_names(server):
    roles = RoleStore(server.client)
    roles.announce(ROLE)
    server.client.sadd(ROLES_KEY, "gone")

    assert roles.running() == [ROLE]
    assert server.client.smembers(ROLES_KEY) == {b"w"}


def test_the_commands_that_renew_leases_do_not_depend_on_the_number_of_shards(server):
    """While all shards are empty."""
    shards = ShardStore(server.client)
    shards.renew("w", 64, [Lane.NORMAL])

    with counted(server.client) as commands:
        shards.renew("w", 64, [Lane.NORMAL])

    assert (commands["exists"], commands["zrange"], commands["evalsha"]) == (1, 1, 1)
    assert sum(commands.values()) == 10


def test_writing_a_slot_again_takes_three_commands(server):
    """The first one also removes old slots."""
    slots = SlotStore(server.client)
    number = slot_number(slots.now_s())

    with counted(server.client) as first:
        slots.write(number, "w", Slot(1, 1.0))
    with counted(server.client) as again:
        slots.write(number, "w", Slot(1, 2.0), is_first=False)

    assert first == {"set": 1, "zadd": 1, "zremrangebyscore": 1, "time": 1}
    assert again == {"set": 1, "zadd": 1, "time": 1}
    assert [slot.covered_s for slot in slots.read(5).slots] == [2.0]


def test_an_unused_cache_and_unchanged_counts_are_not_written(server):
    """After the first time."""
    cache = open_cache(Settings.read(broker_url=server.url))
    report = CacheReport(cache, CacheCountsStore(server.client), "w")
    popularity = Popularity(PopularityStore(server.client))
    report.flush()
    assert server.client.smembers(CACHE_COUNTS_KEY) == {b"w"}

    with counted(server.client) as commands:
        report.flush()
        popularity.flush()

    assert commands == {}
