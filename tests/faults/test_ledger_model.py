"""The ledger against a simple model: after any steps in any order, each block has one outcome."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from risk_tasks.broker.blocks import BlockBroker, StampRequest
from risk_tasks.connection import connect
from risk_tasks.embedding.fleet import running_server
from risk_tasks.keys import block_key, lane_key, result_key, role_key
from risk_tasks.queues import MAX_REQUEUES, Lane
from tests.integration.support import unique

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1_200)]

WORKERS = ("one", "two")
lanes = st.sampled_from([Lane.NORMAL, Lane.BATCH])
workers = st.sampled_from(WORKERS)


class Ledger(RuleBasedStateMachine):
    """Runs the steps of clients, workers, faults and the reaper as real scripts, in any order.

    The model is a dictionary of the outcome of each block, if it has one.
    """

    url: str
    blocks = Bundle("blocks")

    def __init__(self) -> None:
        super().__init__()
        self.redis = redis.Redis.from_url(self.url)
        self.client = connect(self.url)
        self.broker = BlockBroker(self.client)
        self.client_id = unique("client")
        self.outcomes: dict[str, bytes | None] = {}
        self.past_deadline: set[str] = set()
        #: (worker, block) of each fetched message
        self.fetched: list[tuple[str, str]] = []
        for worker in WORKERS:
            self.revive(worker)

    # --- clients

    @rule(target=blocks, lane=lanes, n_checks=st.integers(1, 9))
    def submit(self, lane: Lane, n_checks: int) -> str:
        block_id = unique("block")
        self.broker.enqueue(
            block_id,
            b"payload",
            client_id=self.client_id,
            lane=lane,
            n_checks=n_checks,
            timeout_s=600,
            stamp=StampRequest("", ""),
        )
        self.outcomes[block_id] = None
        return block_id

    @rule(block_id=blocks)
    def pass_deadline(self, block_id: str) -> None:
        """Let time pass for one block only."""
        if self.outcomes[block_id] is None:
            self.redis.hset(block_key(block_id), "deadline_ms", 1)
            self.past_deadline.add(block_id)

    # --- workers

    @rule(worker=workers)
    def fetch(self, worker: str) -> None:
        if not self.redis.exists(role_key(worker)):
            return
        message = self.redis.rpop(Lane.NORMAL.queue) or self.redis.rpop(Lane.BATCH.queue)
        if message is not None:
            self.fetched.append((worker, json.loads(message)["headers"]["id"]))

    @precondition(lambda self: self.fetched)
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        worker, block_id = data.draw(st.sampled_from(self.fetched))
        started = self.broker.start(block_id, worker=worker)
        if self.outcomes.get(block_id) is None and block_id in self.past_deadline:
            assert started is None
            self.outcomes[block_id] = b"!expired"
        elif self.outcomes.get(block_id) is None:
            assert started is not None
            assert started.payload == b"payload"
        else:
            assert started is None

    @precondition(lambda self: self.fetched)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """Also for blocks that were never started, or that another worker holds."""
        worker, block_id = held = data.draw(st.sampled_from(self.fetched))
        self.fetched.remove(held)
        first = self.broker.finish(block_id, f"answer of {worker}".encode()) is not None
        assert first == (self.outcomes.get(block_id, b"swept") is None)
        if first:
            self.outcomes[block_id] = f"answer of {worker}".encode()

    # --- faults

    @rule(worker=workers, chance=st.integers(0, 2))
    def crash(self, worker: str, chance: int = 0) -> None:
        """One time in three, so that workers live long enough."""
        if chance:
            return
        self.redis.delete(role_key(worker))
        self.fetched = [held for held in self.fetched if held[0] != worker]

    @rule(worker=workers)
    def revive(self, worker: str) -> None:
        self.redis.hset(role_key(worker), "name", worker)

    @rule(block_id=blocks)
    def redeliver(self, block_id: str) -> None:
        """The visibility time-out restores a message, even of an answered block."""
        envelope = self.redis.hget(block_key(block_id), "envelope")
        if envelope is not None:
            self.redis.rpush(self._lane_of(block_id), envelope)

    # --- upkeep

    @rule()
    def reap(self) -> None:
        unanswered = [block_id for block_id, outcome in self.outcomes.items() if outcome is None]
        before = {block_id: self._requeues(block_id) for block_id in unanswered}
        left_alone = [
            block_id for block_id in unanswered if self._waits(block_id) or self._is_held(block_id)
        ]

        self.broker.reap(fetch_grace_s=0)

        for block_id, outcome in self.outcomes.items():
            if outcome is None and (found := self.redis.get(result_key(block_id))) is not None:
                dead = found.startswith(b"!dead")
                assert dead or (found == b"!expired" and block_id in self.past_deadline)
                self.outcomes[block_id] = found
        for block_id in left_alone:
            assert self.outcomes[block_id] is None, "it only waited, or a live worker has it"
            assert self._requeues(block_id) == before[block_id]
        for block_id in unanswered:
            if self.outcomes[block_id] is None and self._requeues(block_id) != before[block_id]:
                assert self._waits(block_id), "it was requeued and is not there"

    # --- what always holds

    @invariant()
    def one_outcome_each(self) -> None:
        for block_id, outcome in self.outcomes.items():
            assert self.redis.get(result_key(block_id)) == outcome

    @invariant()
    def counters_match_a_recount(self) -> None:
        open_blocks = [block_id for block_id, outcome in self.outcomes.items() if outcome is None]
        counted = dict.fromkeys(Lane, 0)
        for block_id in open_blocks:
            lane, checks = self.redis.hmget(block_key(block_id), "lane", "checks")
            counted[Lane(lane.decode())] += int(checks)
        held = {lane: int(self.redis.hget(lane_key(lane), "checks") or 0) for lane in Lane}
        assert held == counted
        assert self.redis.zcard("risk:ledger") == len(open_blocks)

    def teardown(self) -> None:
        """All workers die, a new one serves: every block has an outcome."""
        for worker in WORKERS:
            self.crash(worker)
        self.redis.hset(role_key("healthy"), "name", "healthy")
        for _ in range(3 * MAX_REQUEUES + len(self.outcomes)):
            self.reap()
            for lane in Lane:
                while (message := self.redis.rpop(lane.queue)) is not None:
                    block_id = json.loads(message)["headers"]["id"]
                    if self.broker.start(block_id, worker="healthy") is not None:
                        assert self.outcomes[block_id] is None
                        self.broker.finish(block_id, b"in the end")
                    if self.outcomes[block_id] is None:
                        self.outcomes[block_id] = self.redis.get(result_key(block_id))
        for block_id, outcome in self.outcomes.items():
            found = self.redis.get(result_key(block_id))
            assert found is not None, "lost"
            assert found == outcome
        assert self.redis.zcard("risk:ledger") == 0
        assert not self.redis.keys("risk:held:*")
        # so that no key of this example is left
        for key in self.redis.keys("risk:*"):
            self.redis.delete(key)
        self.redis.close()
        self.client.close()

    def _lane_of(self, block_id: str) -> str:
        return f"risk.{self.redis.hget(block_key(block_id), 'lane').decode()}"

    def _requeues(self, block_id: str) -> bytes | None:
        return self.redis.hget(block_key(block_id), "requeues")

    def _is_held(self, block_id: str) -> bool:
        """Whether a live worker has started the block."""
        worker = self.redis.hget(block_key(block_id), "worker")
        return worker is not None and bool(self.redis.exists(role_key(worker.decode())))

    def _waits(self, block_id: str) -> bool:
        """Whether the block was never started and its message is in its lane."""
        if self.redis.hexists(block_key(block_id), "worker"):
            return False
        messages = self.redis.lrange(self._lane_of(block_id), 0, -1)
        return any(json.loads(message)["headers"]["id"] == block_id for message in messages)


@contextmanager
def _private_server() -> Iterator[str]:
    with TemporaryDirectory() as folder, running_server(Path(folder)) as (url, _):
        yield url


def test_the_ledger_agrees_with_its_model(request: pytest.FixtureRequest) -> None:
    """On a server of its own."""
    full = request.config.getoption("--full")
    with _private_server() as url:
        machine = type("LedgerOnOwnServer", (Ledger,), {"url": url})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=1_000 if full else 150,
                stateful_step_count=40,
                deadline=None,
                derandomize=True,
                database=None,
            ),
        )
