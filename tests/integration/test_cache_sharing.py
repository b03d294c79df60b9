"""What the shared tier shares and deletes, and how a cache behaves when its server is down."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import pytest

from risk_tasks.cache.single_flight import Flight
from risk_tasks.embedding.fleet import free_port
from risk_tasks.keys import CACHE_PREFIX
from risk_tasks.roles.result_cache import open_cache
from risk_tasks.settings import Settings
from tests.integration.cache_support import Cache
from tests.integration.support import REPOSITORY, environment, unique, wait_until
from tests.unit.cache.support import values

pytestmark = pytest.mark.integration


@pytest.fixture
def prefix():
    return unique("cache").encode()


@pytest.fixture
def one(cache_server, prefix):
    return Cache(cache_server.url, prefix)


@pytest.fixture
def two(cache_server, prefix):
    return Cache(cache_server.url, prefix)


def test_a_process_finds_what_another_has_computed(one, two):
    """First on the server, and afterwards in its own memory."""
    one.tiers.set_many(values({b"k": b"value"}, 60, cost_s=0.2))

    assert get(two.tiers, b"k", b"absent") == [b"value", None]
    assert get(two.tiers, b"k") == [b"value"]
    counts = two.counts()
    assert (counts.local_hits, counts.local_misses) == (1, 2)
    assert (counts.shared_hits, counts.shared_misses) == (1, 1)
    assert (counts.hits, counts.look_ups) == (2, 3)
    assert counts.saved_s == pytest.approx(0.4)
    assert counts.read_bytes == one.counts().written_bytes == 5


def test_the_local_tier_keeps_a_value_for_its_remaining_time_to_live(one):
    """By the clock of the server, not by that of the reader."""
    one.tiers.set_many(values({b"k": b"value"}, 60))
    two = Cache(one.url, one.prefix, clock=lambda: -1e6)
    two.tiers.get_many([b"k"])

    (here,) = two.local.get_many([b"k"])
    assert 55 < here.ttl_s <= 60


def test_the_server_expires_entries(one, prefix, cache_server):
    one.tiers.set_many(values({b"k": b"value"}, 60))

    assert 55_000 < cache_server.client.pttl(one.shared.name(b"k")) <= 60_000


def test_a_block_is_read_in_one_round_trip(one, cache_server):
    """By one MGET of any size; once in a while it also reads the time."""
    one.shared.set_many(values({b"%d" % place: b"v" for place in range(300)}, 60))
    with cache_server.client.monitor() as monitor:
        one.shared.get_many([b"%d" % place for place in range(600)])
        cache_server.client.echo("end")
        commands = []
        for line in monitor.listen():
            if "end" in line["command"]:
                break
            commands.append(line["command"].split()[0])

    greetings = {"HELLO", "CLIENT", "SELECT"}
    assert [command for command in commands if command not in greetings] == ["MGET"]


def get(tier, *keys):
    """Return the bytes of each key."""
    return [one and one.value for one in tier.get_many(keys)]


def stored(server, cache, key=b"k"):
    return server.client.get(cache.shared.name(key))


@pytest.mark.parametrize("bit", [0, 30, 60, 100, 130, 150, 170, -1])
def test_a_damaged_entry_is_a_miss_that_is_deleted(bit, one, two, cache_server):
    one.tiers.set_many(values({b"k": b"value"}, 60))
    damaged = bytearray(stored(cache_server, one))
    damaged[bit // 8] ^= 1 << bit % 8
    cache_server.client.set(one.shared.name(b"k"), bytes(damaged), keepttl=True)

    assert get(two.tiers, b"k") == [None]
    assert stored(cache_server, one) is None
    assert two.counts().corrupt == 1
    assert get(one.tiers, b"k") == [b"value"]


def test_an_entry_under_another_key_is_a_miss_that_is_deleted(one, two, cache_server):
    one.tiers.set_many(values({b"k": b"value"}, 60))
    cache_server.client.copy(one.shared.name(b"k"), one.shared.name(b"other"))

    assert get(two.tiers, b"other", b"k") == [None, b"value"]
    assert stored(cache_server, one, b"other") is None


def test_a_foreign_list_is_a_miss(one, cache_server):
    """And is overwritten."""
    cache_server.client.rpush(one.shared.name(b"k"), "foreign")
    assert get(one.tiers, b"k") == [None]

    one.shared.set_many(values({b"k": b"value"}, 60))
    assert get(one.shared, b"k") == [b"value"]


def test_a_flight_computes_a_damaged_entry(one, cache_server):
    """It does not take the entry for a value."""
    cache_server.client.set(one.shared.name(b"k"), b"RTC damaged")
    with Flight(one.flights, [b"k"], 5) as flight:
        assert flight.wait(time.monotonic() + 10)
        flight.finish(values({b"k": b"value"}, 60))

    assert get(one.shared, b"k") == [b"value"]


WRITER = """
import sys
from tests.integration.cache_support import Cache
from tests.unit.cache.support import values
Cache(sys.argv[1], sys.argv[2].encode()).tiers.set_many(values({b"k": b"value"}, 60))
"""


@pytest.mark.parametrize("seed", ["1", "77"])
def test_an_entry_is_the_same_to_a_process_of_another_hash_seed(seed, one, prefix, cache_server):
    subprocess.run(
        [sys.executable, "-c", WRITER, cache_server.url, prefix.decode()],
        env=environment(PYTHONHASHSEED=seed),
        cwd=REPOSITORY,
        check=True,
    )

    assert get(one.tiers, b"k") == [b"value"]


def of_a_worker(url):
    """The cache of a worker, with its short timeouts."""
    return open_cache(Settings.read(broker_url=url, cache_local_bytes=1 << 20))


def test_the_cache_of_a_worker_is_on_the_broker_unless_a_cache_url_is_set(server):
    cache = of_a_worker(server.url)
    cache.tiers.set_many(values({b"k": b"value"}, cache.ttl_s))

    (name,) = server.client.keys("*")
    assert name.startswith(CACHE_PREFIX)
    elsewhere = open_cache(
        Settings.read(broker_url=f"redis://127.0.0.1:{free_port()}/0", cache_url=server.url)
    )
    assert get(elsewhere.tiers, b"k") == [b"value"]


@contextmanager
def refused_port():
    yield f"redis://127.0.0.1:{free_port()}/0"


@contextmanager
def full_backlog():
    """A port that neither accepts nor refuses connections, as behind a firewall."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@contextmanager
def silent():
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def shortest_miss_s(cache):
    """Miss until the circuit breaker opens; return the shortest time, for a busy machine."""
    took_s = []
    while not cache.breaker.is_open:
        began_s = time.perf_counter()
        assert get(cache.tiers, b"k", b"j") == [None, None]
        took_s.append(time.perf_counter() - began_s)
    assert len(took_s) == 3
    return min(took_s)


@pytest.mark.parametrize("place", [refused_port, full_backlog, silent])
def test_a_cache_that_is_down_is_a_miss_within_50_ms(place):
    with place() as url:
        cache = of_a_worker(url)

        assert shortest_miss_s(cache) < 0.05
        errors = cache.counters.snapshot().errors
        assert get(cache.tiers, b"k") == [None]
        counts = cache.counters.snapshot()
        assert (counts.errors, counts.refused, counts.breaker_openings) == (errors, 1, 1)


def test_a_stopped_server_is_a_miss_until_it_runs_again(server):
    """A probe closes the circuit breaker; results computed meanwhile are kept in memory."""
    cache = of_a_worker(server.url)
    cache.tiers.shared.set_many(values({b"k": b"value"}, 60))
    assert get(cache.tiers.shared, b"k") == [b"value"]
    os.kill(server.pid, signal.SIGSTOP)
    try:
        assert shortest_miss_s(cache) < 0.05
        with Flight(cache.flights, [b"new"], 5) as flight:
            assert flight.wait(time.monotonic() + 5)
            assert flight.mine == [b"new"]
            flight.finish(values({b"new": b"computed"}, 60))
            assert not flight.wait(time.monotonic() + 5)
        assert get(cache.tiers, b"new") == [b"computed"]
    finally:
        os.kill(server.pid, signal.SIGCONT)

    wait_until(lambda: get(cache.tiers, b"k") == [b"value"], 10)
    assert not cache.breaker.is_open


def test_a_full_server_is_still_read(server):
    cache = of_a_worker(server.url)
    cache.tiers.shared.set_many(values({b"k": b"value"}, 60))
    server.client.config_set("maxmemory", 1)
    for _ in range(5):
        cache.tiers.set_many(values({b"new": b"computed"}, 60))

    assert get(cache.tiers.shared, b"k", b"new") == [b"value", None]
    assert not cache.breaker.is_open
    assert cache.counters.snapshot().errors == 5
