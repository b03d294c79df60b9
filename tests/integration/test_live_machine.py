"""Live portfolios against a naive model of dictionaries and sums."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from risk_tasks.broker.blocks import BlockBroker, StartedBlock
from risk_tasks.broker.dead_letters import DeadLetters
from risk_tasks.connection import connect
from risk_tasks.embedding.fleet import running_server
from risk_tasks.errors import UnknownPortfolioError
from risk_tasks.model.limits import Limit, LimitSet
from risk_tasks.model.market import MarketSnapshot
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.queues import Lane
from risk_tasks.service import LiveRecorder, MarketCache, Service
from risk_tasks.store.breaches import BEGINNING, BreachStream
from risk_tasks.store.portfolios import PortfolioStore
from risk_tasks.store.published import LimitStore, MarketStore
from risk_tasks.store.recompute import Attempt, RecomputeStore
from risk_tasks.upkeep.recompute import LiveCollector, LivePolicy, LiveRetry
from risk_tasks.wire.request import decode_request

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PRICES = {"A": 10.0, "B": 20.0, "C": 40.0}
RETURNS = np.random.default_rng(7).normal(0.0, 0.01, (30, 3))


def market_of(factor: float, names: Sequence[str]) -> MarketSnapshot:
    return MarketSnapshot(
        datetime(2024, 5, 1, tzinfo=UTC),
        list(names),
        [factor * PRICES[name] for name in names],
        RETURNS[:, : len(names)],
    )


#: one is dearer, and one does not price C
MARKETS = [market_of(1.0, "ABC"), market_of(3.0, "ABC"), market_of(1.0, "AB")]
LIMITS = LimitSet(
    "desk",
    [
        Limit("gross_exposure", warn=150.0123, hard=600.0123, id="gross"),
        Limit("net_exposure", hard=-90.0123, comparison="below", id="net"),
        Limit("stress_loss:absent", hard=1.0, applies_to={"portfolio_id": "p"}, id="absent"),
    ],
)

ids = st.sampled_from(["p", "q:1", "r"])
events = st.none() | st.sampled_from(["e1", "e2", "e3"])
quantities = st.sampled_from([0.1, -0.1, 0.3, -0.3, 1.7, -2.5, 7.0, -7.0])
books = st.dictionaries(st.sampled_from("ABC"), quantities, max_size=3)
deltas = st.dictionaries(st.sampled_from("ABC"), quantities, min_size=1, max_size=2)

Positions = dict[str, float]
States = dict[str, str]


def naive_states(name: str, positions: Positions, market: MarketSnapshot) -> States:
    """Compare sums with the limits; returns the states that are not ok."""
    prices = dict(zip(market.instruments, market.prices.tolist(), strict=True))
    limits = ["gross", "net", *(["absent"] if name == "p" else [])]
    if any(held not in prices for held in positions):
        return dict.fromkeys(limits, "not_evaluated")
    worth = [quantity * prices[held] for held, quantity in positions.items()]
    states = {"absent": "not_evaluated"} if name == "p" else {}
    gross, net = sum(map(abs, worth)), sum(worth)
    if gross > 150.0123:
        states["gross"] = "hard" if gross > 600.0123 else "warn"
    if net < -90.0123:
        states["net"] = "hard"
    return states


class RecordingCollector(LiveCollector):
    """Keeps the attempts that were sent."""

    issued: dict[str, int]

    def _send(self, attempts: Sequence[Attempt], lane: Lane) -> None:
        for attempt in attempts:
            self.issued[attempt.portfolio.id] = attempt.number
        super()._send(attempts, lane)


class RecordingRetry(LiveRetry):
    """Keeps the attempts that were abandoned."""

    abandoned: list[Attempt]

    def _abandon(self, attempt: Attempt) -> None:
        self.abandoned.append(attempt)
        super()._abandon(attempt)


class Live(RuleBasedStateMachine):
    """Runs steps of clients, scheduler, workers and faults in any order on the real scripts."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.redis = redis.Redis.from_url(self.url)
        self.redis.flushdb()
        self.client = connect(self.url)
        self.store = RecomputeStore(self.client)
        self.portfolios = PortfolioStore(self.client)
        self.broker = BlockBroker(self.client)
        limits = LimitStore(self.client)
        policy = LivePolicy(window_ms=0, visibility_timeout_s=900.0, refresh_per_s=1e9)
        self.collector = RecordingCollector(self.store, self.broker, policy)
        at_once = LivePolicy(visibility_timeout_s=-1.0)
        letters = DeadLetters(self.client)
        self.retry = RecordingRetry(self.store, limits, letters, at_once)
        recorder = LiveRecorder(self.store, limits.load)
        self.service = Service(
            MarketCache(MarketStore(self.client).load), limits.load, live=recorder
        )
        # The model.
        self.held: dict[str, Positions] = {}
        self.versions: dict[str, int] = {}
        self.history: dict[tuple[str, int], Positions] = {}
        self.seen: dict[tuple[str, str], int] = {}
        self.states: dict[str, States] = {}
        self.recorded: dict[str, tuple[int, int]] = {}
        self.published: dict[tuple[str, str], list[tuple[int, str, str]]] = defaultdict(list)
        self.issued = self.collector.issued = {}
        self.started: list[StartedBlock] = []

    @initialize()
    def publish(self) -> None:
        LimitStore(self.client).publish(LIMITS, "default")
        self.new_market(MARKETS[0])
        for name in ("p", "q:1", "r"):
            self.set(name, {"A": 7.0, "B": -2.5}, None)
        self.work()

    # --- producers

    @rule(name=ids, positions=books, event=events)
    def set(self, name: str, positions: Positions, event: str | None) -> None:
        version = self.portfolios.set(Portfolio(name, positions), event)

        if (name, event) in self.seen:
            assert version == self.seen[name, event]
        else:
            self._moved(name, dict(positions), event)
            assert version == self.versions[name]

    @rule(changes=st.lists(st.tuples(ids, deltas, events), min_size=1, max_size=5))
    def change(self, changes: list[tuple[str, Positions, str | None]]) -> None:
        for name, added, event in changes:
            self._change(name, added, event)

    def _change(self, name: str, added: Positions, event: str | None) -> None:
        if name not in self.held:
            with pytest.raises(UnknownPortfolioError):
                self.portfolios.change(name, added, event)
            return
        version = self.portfolios.change(name, added, event)

        if (name, event) in self.seen:
            assert version == self.seen[name, event]
            return
        positions = dict(self.held[name])
        for instrument, delta in added.items():
            positions[instrument] = positions.get(instrument, 0.0) + delta
        self._moved(name, {key: held for key, held in positions.items() if held}, event)
        assert version == self.versions[name]

    @rule(name=ids)
    def remove(self, name: str) -> None:
        if name not in self.held:
            return
        assert self.portfolios.remove(name) == self.versions[name]
        for limit, state in self.states.pop(name, {}).items():
            self.published[name, limit].append((self.versions[name], state, "none"))
        del self.held[name]
        self.recorded[name] = (0, self.issued.get(name, 0))

    @rule(market=st.sampled_from(MARKETS))
    def new_market(self, market: MarketSnapshot) -> None:
        MarketStore(self.client).publish(market, "default")
        self.market = market

    @invariant()
    def is_exact(self) -> None:
        for name in self.held:
            self.look(name)

    def look(self, name: str) -> None:
        """The positions and the version are exact at any time."""
        found = self.portfolios.get(name)
        assert (dict(found.positions), found.version) == (self.held[name], self.versions[name])

    # --- the scheduler, workers and faults

    @rule()
    def collect(self) -> None:
        self.collector._is_idle = False
        self.collector.step()

    @rule()
    def fetch(self) -> None:
        """A worker starts a block; if nothing follows, it died."""
        message = self.redis.rpop(Lane.BATCH.queue)
        if message is None:
            return
        block_id = json.loads(message)["headers"]["id"]
        block = self.broker.start(block_id, worker="w")
        self.store.start(
            [
                (name, attempt.number)
                for request in [decode_request(block.payload)]
                for name, attempt in zip(
                    request.portfolio_ids.to_pylist(), request.attempts, strict=True
                )
            ]
        )
        assert self.broker.finish(block_id, b"") is not None
        self.started.append(block)

    @precondition(lambda self: self.started)
    @rule(index=st.integers(0, 5))
    def record(self, index: int) -> None:
        """Any started block is computed and recorded: late, or once more."""
        block = self.started[index % len(self.started)]
        request = decode_request(block.payload)
        self.service.answer(block.payload, block.stamp)

        market = next(one for one in MARKETS if one.id == block.stamp.market_id)
        for name, attempt in zip(request.portfolio_ids.to_pylist(), request.attempts, strict=True):
            states = naive_states(name, self.history[name, attempt.version], market)
            self._recorded(name, attempt.version, attempt.number, states)

    @rule()
    def work(self) -> None:
        """Collect, then fetch and record every block, without a fault."""
        self.collect()
        while self.redis.llen(Lane.BATCH.queue):
            self.fetch()
            self.record(len(self.started) - 1)

    @rule()
    def take_again(self) -> None:
        self.retry.abandoned = []
        self.retry.step()

        for attempt in self.retry.abandoned:
            name = attempt.portfolio.id
            self.issued[name] = attempt.number
            limits = ["gross", "net", *(["absent"] if name == "p" else [])]
            states = dict.fromkeys(limits, "not_evaluated")
            self._recorded(name, attempt.version, attempt.number, states)

    # --- the model

    def _moved(self, name: str, positions: Positions, event: str | None) -> None:
        self.held[name] = positions
        self.versions[name] = self.versions.get(name, 0) + 1
        self.history[name, self.versions[name]] = positions
        if event is not None:
            self.seen[name, event] = self.versions[name]

    def _recorded(self, name: str, version: int, number: int, states: States) -> None:
        if name not in self.held or number <= self.recorded.get(name, (0, 0))[1]:
            return
        self.recorded[name] = (version, number)
        before = self.states.get(name, {})
        for limit in {**before, **states}:
            was, now = before.get(limit, "ok"), states.get(limit, "ok")
            if was != now:
                self.published[name, limit].append((version, was, now))
        self.states[name] = states

    # --- at the end

    def teardown(self) -> None:
        for _ in range(40):
            self.work()
            counts = self.store.counts()
            if not (counts.dirty or counts.outdated or counts.in_progress):
                break
            self.take_again()
        self._judge()
        self.redis.close()
        self.client.close()

    def _judge(self) -> None:
        counts = self.store.counts()
        assert (counts.dirty, counts.outdated, counts.in_progress) == (0, 0, 0)
        assert counts.portfolios == len(self.held)
        changes = BreachStream(self.client).read(BEGINNING, limit=10_000)
        assert len({one.event_id for one in changes}) == len(changes)
        published, versions = defaultdict(list), defaultdict(list)
        for one in changes:
            about = (one.version, one.before.value, one.standing.state.value)
            published[one.portfolio_id, one.standing.limit].append(about)
            versions[one.portfolio_id].append(one.version)
        assert dict(published) == dict(self.published)
        assert all(numbers == sorted(numbers) for numbers in versions.values())
        for name, positions in self.held.items():
            self.look(name)
            assert self.portfolios.report(name).version == self.versions[name]
            now = naive_states(name, positions, self.market)
            abandoned = self.redis.exists(f"risk:dead:live-{name}")
            assert self.states[name] == now or abandoned
        assert not list(self.redis.scan_iter(match="risk:result:*"))
        assert self.redis.zcard("risk:ledger") == 0


@contextmanager
def server_url() -> Iterator[str]:
    with (
        TemporaryDirectory(prefix="risk-tasks-test-") as folder,
        running_server(Path(folder)) as (url, _),
    ):
        yield url


def test_each_change_of_state_is_in_the_stream_once_in_any_order_of_steps() -> None:
    """Positions are exact, no portfolio stays dirty, and no answer remains."""
    with server_url() as url:
        machine = type("LiveOfThis", (Live,), {"url": url})
        run_state_machine_as_test(
            machine, settings=settings(max_examples=30, stateful_step_count=40, deadline=None)
        )
