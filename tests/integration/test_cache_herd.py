"""One computation for all who ask, over real processes, threads and leases."""

from __future__ import annotations

import random
import threading
import time
from contextlib import ExitStack

import pytest

from risk_tasks.cache import Waited
from risk_tasks.cache.leases import Claim
from tests.integration.cache_support import Cache
from tests.integration.support import running, unique, wait_until

pytestmark = pytest.mark.integration


class Herd:
    """Processes that ask for one result, under a prefix of their own."""

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

    def heard(self, word, n, within_s=60):
        """Return the first `n` things said under `word`, once they are."""
        key = f"{self.prefix}:{word}"
        wait_until(lambda: self.server.client.llen(key) >= n, within_s, self._told())
        return self.server.client.lrange(key, 0, -1)

    def go(self, n):
        self.heard("ready", n)
        self.server.client.rpush(f"{self.prefix}:go", *["go"] * n)

    def cache(self):
        return Cache(self.server.url, self.prefix.encode())

    def close(self):
        self._stack.close()

    def _told(self):
        return self._log.read_text() if self._log.exists() else ""


@pytest.fixture
def herd(cache_server, tmp_path):
    herd = Herd(cache_server, tmp_path)
    yield herd
    herd.close()


def test_a_thousand_who_ask_for_one_expired_result_cost_one_computation(herd):
    """Two processes of 500 threads, of two hash seeds; the computation takes 200 ms."""
    herd.cache().tiers.set_many({b"k": b"expired"}, 0.001)
    for hash_seed in ("1", "2"):
        herd.start(n_threads=500, hash_seed=hash_seed)
    herd.go(2)

    assert herd.heard("answers", 2) == [b"500", b"500"]
    assert herd.heard("errors", 2) == [b"0.0", b"0.0"]
    assert herd.heard("runs", 1) == [b"k"]


def test_a_holder_that_is_killed_frees_its_key_within_its_lease(herd):
    """And who waits computes."""
    lease_s = 2.0
    holder = herd.start(lease_s=lease_s, mode="hang")
    herd.go(1)
    herd.heard("runs", 1)
    waiter = herd.cache()
    with waiter.flight.lead([b"k"], lease_s=20) as turn:
        assert turn.others == [b"k"]
        holder.kill()
        holder.wait()
        killed_s = time.monotonic()

        assert turn.wait(killed_s + 30) is Waited.TAKEN_OVER
        assert time.monotonic() - killed_s < lease_s + 1
        turn.land({b"k": b"result"}, 60)
    assert waiter.counts().take_overs == 1
    assert herd.cache().tiers.get_many([b"k"]) == [b"result"]


def test_blocks_that_overlap_end_with_one_computation_a_key(herd):
    """Six threads of each of two processes, in any order, and some computations that fail."""
    processes = [herd.cache(), herd.cache()]
    keys = [b"key %d" % place for place in range(30)]
    computed: list[bytes] = []
    answered: list[bool] = []
    stumbles = threading.Semaphore(8)

    def compute(mine):
        if stumbles.acquire(blocking=False):
            return {}
        time.sleep(0.01)
        computed.extend(mine)
        return {key: b"value of " + key for key in mine}

    def ask(cache, seed):
        block = random.Random(seed).sample(keys, 20)
        with cache.flight.lead(block, lease_s=30) as turn:
            turn.land(compute(turn.mine), 60)
            while True:
                ended = turn.wait(time.monotonic() + 30)
                if ended is Waited.TAKEN_OVER:
                    turn.land(compute(turn.mine), 60)
                    continue
                lost = [key for key in block if key not in turn.found]
                if not lost or ended is Waited.LATE:
                    break
                turn.take(lost)  # let go by a computation of ours that failed
            answered.append(turn.found == {key: b"value of " + key for key in block})

    threads = [threading.Thread(target=ask, args=(processes[seed % 2], seed)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answered == [True] * 12
    assert len(computed) == len(set(computed))


def test_a_lease_that_ran_out_is_not_given_back_by_who_had_it(herd, cache_server):
    """By then it is another's."""
    leases = f"{herd.prefix}lease:*"
    slow = herd.cache().flight.lead([b"k"], lease_s=0.001)
    wait_until(lambda: not cache_server.client.keys(leases), 5)
    with herd.cache().flight.lead([b"k"], lease_s=30) as turn:
        assert turn.mine == [b"k"]
        slow.close()

        assert cache_server.client.keys(leases)
    assert cache_server.client.keys(leases) == []


def test_a_lease_is_taken_again_by_who_has_it(herd):
    """As after a release that did not arrive: it need not wait for itself."""
    leases = herd.cache().leases

    assert leases.claim([b"k"], b"one", 30) == [Claim.OURS]
    assert leases.claim([b"k", b"j"], b"one", 30) == [Claim.OURS, Claim.OURS]
    assert leases.claim([b"k"], b"two", 30) == [Claim.HELD]


def test_a_block_of_many_keys_is_claimed_and_released(herd, cache_server):
    """More than one script takes."""
    keys = [b"%d" % place for place in range(1_234)]
    one, two = herd.cache(), herd.cache()
    with one.flight.lead(keys, lease_s=30) as turn:
        assert turn.mine == keys
        assert two.flight.lead(keys, lease_s=30).others == keys
        turn.land(dict.fromkeys(keys[::2], b"value"), 60)

        assert cache_server.client.keys(f"{herd.prefix}lease:*") == []
    with herd.cache().flight.lead(keys, lease_s=30) as turn:
        assert (sorted(turn.found), turn.mine) == (sorted(keys[::2]), keys[1::2])


def test_the_scripts_come_back_after_the_server_forgot_them(herd, cache_server):
    cache_server.client.script_flush()

    with herd.cache().flight.lead([b"k"], lease_s=30) as turn:
        assert turn.mine == [b"k"]
