"""The hand-written message compared with the one that the installed Celery writes."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from risk_tasks import RiskTasksError
from risk_tasks.app import create_app
from risk_tasks.broker.blocks import BlockBroker, StampRequest
from risk_tasks.broker.envelope import envelope, task_message
from risk_tasks.broker.transport import find_fault
from risk_tasks.connection import connect
from risk_tasks.keys import reply_key, result_key
from risk_tasks.model.measures import MeasureSettings, parse_measures
from risk_tasks.model.portfolio import Portfolio
from risk_tasks.queues import CHECK_BLOCK_TASK, Lane
from risk_tasks.settings import Settings
from risk_tasks.wire.answer import decode_answer
from risk_tasks.wire.request import Terms, encode_request, pack_portfolios
from tests.integration.support import unique, wait_until

pytestmark = pytest.mark.integration

#: Celery writes these and a worker does not need them; each was checked in Celery 5.7
LEFT_OUT = {
    "shadow",  # another name in logs
    "group_index",  # chords
    "stamped_headers",  # stamping
    "stamps",  # stamping
    "replaced_task_nesting",  # self.replace
}
#: values that belong to one message or to one process
OWN_HEADERS = {"id", "root_id", "origin", "argsrepr"}
OWN_PROPERTIES = {"correlation_id", "delivery_tag", "reply_to"}


@pytest.fixture(params=list(Lane))
def messages(request, server) -> tuple[dict, dict]:
    """The message that Celery writes for the task with our settings, and ours."""
    lane = request.param
    app = create_app(Settings.read(broker_url=SecretStr(server.url)))
    with app:
        app.send_task(CHECK_BLOCK_TASK, task_id="by-celery", queue=lane.queue, ignore_result=True)
        app.pool.force_close_all()
    (theirs,) = server.messages(lane.queue)
    return theirs, json.loads(envelope("by-hand", lane, "3 checks"))


def test_the_message_has_the_same_parts_as_celerys(messages):
    """Fails if a new version of Celery adds or removes a part."""
    theirs, ours = messages

    assert set(theirs) == set(ours)
    assert set(theirs["properties"]) == set(ours["properties"])
    assert set(theirs["headers"]) == set(ours["headers"]) | LEFT_OUT
    assert set(ours["headers"]).isdisjoint(LEFT_OUT)


def test_everything_but_ids_and_times_is_the_same_as_in_celerys_message(messages):
    """Encodings, flags and routing equal those of Celery under the settings of the app."""
    theirs, ours = messages

    for part, own in (("headers", OWN_HEADERS), ("properties", OWN_PROPERTIES)):
        shared = set(theirs[part]) & set(ours[part]) - own
        assert {key: ours[part][key] for key in shared} == {
            key: theirs[part][key] for key in shared
        }
    for name in ("content-type", "content-encoding"):
        assert ours[name] == theirs[name]


def test_the_ids_of_a_message_are_equal_where_celerys_are(messages):
    """Celery writes the task's id in the same places; the delivery tag is different."""
    theirs, ours = messages

    for message, task_id in ((theirs, "by-celery"), (ours, "by-hand")):
        assert message["headers"]["id"] == message["headers"]["root_id"] == task_id
        assert message["properties"]["correlation_id"] == task_id
    assert ours["properties"]["delivery_tag"] == "by-hand"


def test_the_parts_that_we_omit_are_empty_in_celerys_message(messages):
    """In the headers and in the body."""
    theirs, ours = messages

    for name in LEFT_OUT:
        assert not theirs["headers"][name]
    args, kwargs, embedded = json.loads(theirs["body"])
    assert [args, kwargs] == json.loads(ours["body"])[:2] == [[], {}]
    assert not any(embedded.values())
    assert set(embedded) == {"callbacks", "errbacks", "chain", "chord"}


def test_a_message_with_arguments_equals_celerys(server):
    """The body too: names, text beyond ASCII, and empty embedded fields."""
    kwargs = {"portfolio_id": "fünd", "version": 3, "standing": {"observed": 0.1}}
    app = create_app(Settings.read(broker_url=SecretStr(server.url)))
    with app:
        app.send_task("risk.limit_breach", kwargs=kwargs, task_id="t", queue="risk.critical")
        app.pool.force_close_all()
    (theirs,) = server.messages("risk.critical")
    ours = json.loads(task_message("risk.limit_breach", "t", "risk.critical", kwargs))

    assert json.loads(ours["body"])[:2] == json.loads(theirs["body"])[:2]
    assert ours["headers"]["task"] == theirs["headers"]["task"]
    assert find_fault(json.dumps(ours).encode()) is None


@pytest.fixture
def send(fleet_server):
    """Enqueues a payload on the fleet and returns the bytes of its answer."""
    client_id = unique("client")
    with connect(fleet_server.url) as client:
        broker = BlockBroker(client)

        def send_block(payload: bytes, market: str = "default") -> bytes:
            block_id = unique("block")
            broker.enqueue(
                block_id,
                payload,
                client_id=client_id,
                lane=Lane.NORMAL,
                n_checks=1,
                timeout_s=20,
                stamp=StampRequest(market, ""),
            )
            answer = wait_until(lambda: fleet_server.client.get(result_key(block_id)), 20)
            fleet_server.client.delete(result_key(block_id))
            return answer

        yield send_block
        fleet_server.client.delete(reply_key(client_id))


def test_a_stock_worker_runs_the_message(send, market):
    """Its answer is that of the portfolio in the payload."""
    terms = Terms(parse_measures(["market_value"]), MeasureSettings())
    request = pack_portfolios([Portfolio("p", {"AAPL": 2.0})], terms)

    answer = decode_answer(send(encode_request(request)))

    assert answer.head.market_id == market.id
    assert answer.columns["market_value"].values.tolist() == [
        2.0 * market.prices[market.index["AAPL"]]
    ]


def test_an_invalid_payload_is_answered_at_once(send):
    """The caller receives an error, and the worker continues."""
    with pytest.raises(RiskTasksError, match=r"expected risk\.request"):
        decode_answer(send(b"no arrow"))


def test_a_finished_message_is_acknowledged(send, fleet_server):
    """It is not delivered again after the visibility time-out."""
    send(b"no arrow")

    held = fleet_server.client
    wait_until(lambda: held.hlen("unacked") == 0 == held.zcard("unacked_index"), 5)
