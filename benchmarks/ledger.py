"""The cost of the guarantees: the same blocks through the ledger's scripts and through bare keys.

One process takes each block through all steps: enqueue, fetch, compute, answer, read. So the two
variants differ only in their scripts. Their rounds alternate.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import redis

from benchmarks import inputs
from benchmarks.output import print_rows, write
from risk_tasks.broker.blocks import BlockBroker, StampRequest
from risk_tasks.broker.envelope import envelope
from risk_tasks.connection import connect
from risk_tasks.embedding.fleet import running_server
from risk_tasks.keys import reply_key, result_key
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.report import Stamp
from risk_tasks.queues import Lane
from risk_tasks.service import MarketCache, Service
from risk_tasks.wire.request import Detail, Terms, encode_request, pack_portfolios

N_CHECKS, N_ROUNDS = 5_000, 100
LANE = Lane.NORMAL


class Bare:
    """A payload, a message, an answer and a reply, without anything that could recover them."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def run(self, payload: bytes, work: Callable[[bytes], bytes]) -> None:
        block_id = uuid.uuid4().hex
        with self._client.pipeline(transaction=True) as pipe:
            pipe.set(f"bare:{block_id}", payload)
            pipe.lpush("bare:lane", envelope(block_id, LANE, ""))
            pipe.execute()
        self._client.rpop("bare:lane")
        answer = work(self._client.get(f"bare:{block_id}"))
        with self._client.pipeline(transaction=True) as pipe:
            pipe.set(result_key(block_id), answer, ex=900)
            pipe.rpush("bare:reply", block_id)
            pipe.unlink(f"bare:{block_id}")
            pipe.execute()
        _read(self._client, "bare:reply", block_id)


class Guaranteed:
    """The scripts that the client and the workers call."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._broker = BlockBroker(client)

    def run(self, payload: bytes, work: Callable[[bytes], bytes]) -> None:
        block_id = uuid.uuid4().hex
        self._broker.enqueue(
            block_id,
            payload,
            client_id="bench",
            lane=LANE,
            n_checks=N_CHECKS,
            timeout_s=60,
            stamp=StampRequest("", ""),
        )
        self._client.rpop(LANE.queue)
        block = self._broker.start(block_id, worker="bench")
        assert block is not None
        self._broker.finish(block_id, work(block.payload))
        _read(self._client, reply_key("bench"), block_id)


def _read(client: redis.Redis, reply: str, block_id: str) -> None:
    client.lpop(reply)
    client.mget([result_key(block_id)])
    client.unlink(result_key(block_id))


def run() -> None:
    snapshot = inputs.market(250)
    service = Service(MarketCache({snapshot.id: snapshot}.get), {}.__getitem__)
    terms = Terms(parse_measures(None), MeasureSettings(), detail=Detail.SUMMARY)
    payload = encode_request(pack_portfolios(inputs.portfolios(N_CHECKS), terms))

    def work(given: bytes) -> bytes:
        return service.run(given, Stamp(snapshot.id))

    took_s: dict[str, list[float]] = {"bare": [], "guaranteed": []}
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as (url, _):
        client = connect(url)
        ways = {"bare": Bare(client), "guaranteed": Guaranteed(client)}
        for _ in range(N_ROUNDS):
            for name, way in ways.items():
                started = time.perf_counter()
                way.run(payload, work)
                took_s[name].append(time.perf_counter() - started)
    ratios = [g / b for g, b in zip(took_s["guaranteed"], took_s["bare"], strict=True)]
    rows = {name: [s * 1e3 for s in seconds] for name, seconds in took_s.items()}
    print_rows("ms per block of 5,000 checks", rows | {"ratio": ratios})
    cost = statistics.median(ratios) - 1
    print(f"the guarantees cost {cost:+.1%} of the throughput (median of {N_ROUNDS} pairs)")
    write("ledger", {"checks": N_CHECKS, "rounds": N_ROUNDS}, rows | {"ratio": ratios})
