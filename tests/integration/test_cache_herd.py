"""Single flight over real processes, threads and leases."""

from __future__ import annotations

import random
import threading
import time
from contextlib import ExitStack

import pytest

from risk_tasks.cache.single_flight import Claim, Flight
from tests.integration.cache_support import Cache
from tests.integration.support import running, unique, wait_until
from tests.unit.cache.support import values

pytestmark = pytest.mark.integration


class Herd:
    """Processes that need one result, under a prefix of their own."""

    def __init__(self, server, tmp_path) -> None:
        self.server = server
        self.prefix = unique("herd")
        self._log = tmp_path / "herd.log"
        self._stack = ExitStack()

    def start(self, n_threads=1, lease_s=20.0, mode="answer", hash_seed="0"):
        words = ["-m", "tests.integration.herd", self.server.url, self.prefix]
        return self._stack.enter_context(
            running(
                *words,
                n_threads,
                lease_s,
                mode,
                log=self._log,
                settings={"PYTHONHASHSEED": hash_seed},
            )
        )

    def pushed(self, word, n, timeout_s=60):
        """Return what was pushed to `word`, once it is at least `n` values."""
        key = f"{self.prefix}:{word}"
        wait_until(lambda: self.server.client.llen(key) >= n, timeout_s, self._logged())
        return self.server.client.lrange(key, 0, -1)

    def go(self, n):
        self.pushed("ready", n)
        self.server.client.rpush(f"{self.prefix}:go", *["go"] * n)

    def cache(self):
        return Cache(self.server.url, self.prefix.encode())

    def close(self):
        self._stack.close()

    def _logged(self):
        return self._log.read_text() if self._log.exists() else ""


def start(cache, keys, lease_s):
    """Return a flight that has taken what is free."""
    flight = Flight(cache.flights, keys, lease_s)
    flight.take()
    return flight


@pytest.fixture
def herd(cache_server, tmp_path):
    herd = Herd(cache_server, tmp_path)
    yield herd
    herd.close()


def test_a_thousand_threads_that_need_one_expired_result_cause_one_computation(herd):
    """Two processes of 500 threads, of two hash seeds; the computation takes 200 ms."""
    herd.cache().tiers.set_many(values({b"k": b"expired"}, 0.001))
    for hash_seed in ("1", "2"):
        herd.start(n_threads=500, hash_seed=hash_seed)
    herd.go(2)

    assert herd.pushed("answers", 2) == [b"500", b"500"]
    assert herd.pushed("errors", 2) == [b"0", b"0"]
    assert herd.pushed("runs", 1) == [b"k"]


def test_the_key_of_a_killed_process_is_free_within_its_lease(herd):
    """And the process that waits computes it."""
    lease_s = 2.0
    holder = herd.start(lease_s=lease_s, mode="hang")
    herd.go(1)
    herd.pushed("runs", 1)
    waiter = herd.cache()
    with Flight(waiter.flights, [b"k"], 20) as flight:
        flight.take()
        assert [*flight.missing] == [b"k"]
        holder.kill()
        holder.wait()
        killed_s = time.monotonic()

        assert flight.wait(killed_s + 30)
        assert time.monotonic() - killed_s < lease_s + 1
        flight.finish(values({b"k": b"result"}, 60))
    assert waiter.counts().take_overs == 1
    (held,) = herd.cache().tiers.get_many([b"k"])
    assert held.value == b"result"


def test_blocks_that_overlap_compute_each_key_once(herd):
    """Six threads of each of two processes, in any order, and some computations that fail."""
    processes = [herd.cache(), herd.cache()]
    keys = [b"key %d" % place for place in range(30)]
    computed: list[bytes] = []
    answered: list[bool] = []
    failures = threading.Semaphore(8)

    def compute(mine):
        if failures.acquire(blocking=False):
            return {}
        time.sleep(0.01)
        computed.extend(mine)
        return values({key: b"value of " + key for key in mine}, 60)

    def ask(cache, seed):
        block = random.Random(seed).sample(keys, 20)
        found = {}
        until_s = time.monotonic() + 30
        while len(found) < len(block) and time.monotonic() < until_s:
            missing = [key for key in block if key not in found]
            found |= cache.flights.compute_once(missing, compute, lease_s=30, until_s=until_s)
        answered.append(found == {key: b"value of " + key for key in block})

    threads = [threading.Thread(target=ask, args=(processes[seed % 2], seed)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answered == [True] * 12
    assert len(computed) == len(set(computed))


def test_an_expired_lease_is_not_released_by_its_former_holder(herd, cache_server):
    """It belongs to another process by then."""
    leases = f"{herd.prefix}lease:*"
    slow = start(herd.cache(), [b"k"], 0.001)
    wait_until(lambda: not cache_server.client.keys(leases), 5)
    with start(herd.cache(), [b"k"], 30) as flight:
        assert flight.mine == [b"k"]
        with slow:
            pass

        assert cache_server.client.keys(leases)
    assert cache_server.client.keys(leases) == []


def test_a_lease_is_granted_again_to_its_holder(herd):
    """After a release that was lost, the holder does not wait for itself."""
    leases = herd.cache().leases

    assert leases.claim([b"k"], b"one", 30) == [Claim.OURS]
    assert leases.claim([b"k", b"j"], b"one", 30) == [Claim.OURS, Claim.OURS]
    assert leases.claim([b"k"], b"two", 30) == [Claim.HELD]


def test_a_block_of_many_keys_is_claimed_and_released(herd, cache_server):
    """They are more than one script call takes."""
    keys = [b"%d" % i for i in range(1_234)]
    one, two = herd.cache(), herd.cache()
    with start(one, keys, 30) as flight:
        assert flight.mine == keys
        assert [*start(two, keys, 30).missing] == keys
        flight.finish(values(dict.fromkeys(keys[::2], b"value"), 60))

        assert cache_server.client.keys(f"{herd.prefix}lease:*") == []
    with start(herd.cache(), keys, 30) as flight:
        assert (sorted(flight.found), flight.mine) == (sorted(keys[::2]), keys[1::2])


def test_scripts_are_loaded_again_after_the_server_lost_them(herd, cache_server):
    cache_server.client.script_flush()

    with start(herd.cache(), [b"k"], 30) as flight:
        assert flight.mine == [b"k"]
