"""`dlq`, `quota` and `listeners`: dead letters, quotas of the critical lane, queues of breaches."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import typer

from risk_tasks.broker.dead_letters import DeadLetter, DeadLetters
from risk_tasks.cli.console import (
    AsJson,
    BrokerUrl,
    Commands,
    emit,
    open_server,
    progress,
    read_settings,
)
from risk_tasks.errors import InvalidSettingsError
from risk_tasks.keys import MAX_DEAD
from risk_tasks.render.tables import rows_table
from risk_tasks.store.breaches import NOW, BreachStream, ListenerStore
from risk_tasks.store.quotas import QuotaStore

app = typer.Typer()
dlq = typer.Typer(cls=Commands, help="List, show, replay or remove dead letters.")
quota = typer.Typer(cls=Commands, help="Bound the critical checks of a client.")
listeners = typer.Typer(
    cls=Commands, help="Celery queues that receive risk.limit_breach for each change of state."
)
app.add_typer(listeners, name="listeners")
app.add_typer(dlq, name="dlq")
app.add_typer(quota, name="quota")

LetterId = Annotated[str, typer.Argument(metavar="ID", help="The id that `dlq list` prints.")]
ClientName = Annotated[str, typer.Argument(metavar="NAME", help="The client_name of RiskClient.")]
Queue = Annotated[str, typer.Argument(help="A queue that workers of your own read.")]


def _summary(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "died_at": letter.died_at.isoformat(timespec="milliseconds"),
        "lane": letter.lane,
        "checks": letter.n_checks,
        "requeues": letter.n_requeues,
        "replayable": letter.is_replayable,
        "reason": letter.reason,
    }


@dlq.command("list")
def list_letters(
    limit: Annotated[int, typer.Option(min=1, help="List the latest N letters.")] = MAX_DEAD,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the dead letters, the latest first."""
    with progress("Reading the dead letters ..."), open_server(broker_url) as client:
        rows = [_summary(letter) for letter in DeadLetters(client).letters(limit)]
    emit(rows, rows_table(rows) if rows else "No dead letters.", as_json=as_json)


@dlq.command("show")
def show_letter(letter_id: LetterId, broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """Show a dead letter with its original bytes."""
    with open_server(broker_url) as client:
        letter = DeadLetters(client).letter(letter_id)
    summary, payload = _summary(letter), base64.b64encode(letter.payload).decode()
    envelope = letter.envelope.decode(errors="backslashreplace")
    shown = {
        **summary,
        "payload": f"{len(letter.payload)} bytes",
        "envelope": ascii(envelope),
    }
    lines = "\n".join(f"{name:<12}{value}" for name, value in shown.items())
    emit({**summary, "envelope": envelope, "payload_base64": payload}, lines, as_json=as_json)


@dlq.command("replay")
def replay_letter(
    letter_id: LetterId, broker_url: BrokerUrl = None, as_json: AsJson = False
) -> None:
    """Send a dead block to its lane again; its answer is kept for 15 minutes."""
    timeout_s = read_settings(broker_url).timeout_s
    with open_server(broker_url) as client:
        DeadLetters(client).replay(letter_id, timeout_s=timeout_s)
    emit({"id": letter_id, "replayed": True}, f"Replayed {letter_id}", as_json=as_json)


@dlq.command("remove")
def remove_letter(
    letter_id: LetterId, broker_url: BrokerUrl = None, as_json: AsJson = False
) -> None:
    """Delete a dead letter permanently."""
    with open_server(broker_url) as client:
        DeadLetters(client).remove(letter_id)
    emit({"id": letter_id, "removed": True}, f"Removed {letter_id}", as_json=as_json)


@quota.command("set")
def set_quota(
    name: ClientName,
    checks_per_s: Annotated[int, typer.Argument(min=1, help="Critical checks per second.")],
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Refuse critical checks of client NAME beyond CHECKS_PER_S."""
    with open_server(broker_url) as client:
        QuotaStore(client).set(name, checks_per_s)
    line = f"{name} may send {checks_per_s} critical checks per second"
    emit({"name": name, "checks_per_s": checks_per_s}, line, as_json=as_json)


@quota.command("remove")
def remove_quota(name: ClientName, broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """Remove the quota of client NAME."""
    with open_server(broker_url) as client:
        QuotaStore(client).remove(name)
    emit({"name": name, "removed": True}, f"{name} has no quota", as_json=as_json)


@quota.command("list")
def list_quotas(broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """List the quotas."""
    with open_server(broker_url) as client:
        quotas = sorted(QuotaStore(client).all().items())
    rows = [{"name": name, "checks_per_s": rate} for name, rate in quotas]
    emit(rows, rows_table(rows) if rows else "No client has a quota.", as_json=as_json)


@listeners.command("add")
def add_listener(
    queue: Queue,
    since: Annotated[
        str, typer.Option(help="Start after this id; 0: all stored changes, $: new ones only.")
    ] = NOW,
    broker_url: BrokerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Send every change of state of a limit to QUEUE."""
    with open_server(broker_url) as client:
        position = BreachStream(client).position(since)
        is_new = ListenerStore(client).add(queue, position)
    what = f"receives every change after id {position}" if is_new else "is a listener already"
    emit({"queue": queue, "added": is_new}, f"{queue} {what}", as_json=as_json)


@listeners.command("remove")
def remove_listener(queue: Queue, broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """Stop sending changes to QUEUE; its messages stay."""
    with open_server(broker_url) as client:
        was_there = ListenerStore(client).remove(queue)
    if not was_there:
        raise InvalidSettingsError(
            f"Queue {queue!r} is not a listener.",
            field="queue",
            remedy="List the listeners: risk-tasks listeners list",
        )
    emit({"queue": queue, "removed": True}, f"{queue} receives no more changes", as_json=as_json)


@listeners.command("list")
def list_listeners(broker_url: BrokerUrl = None, as_json: AsJson = False) -> None:
    """List the queues with their unread messages and the id of the last change sent."""
    with open_server(broker_url) as client:
        positions = sorted(ListenerStore(client).all().items())
        rows = [
            {"queue": queue, "unread": client.llen(queue), "last_sent": position}
            for queue, position in positions
        ]
    nothing = "No listeners. Add one with: risk-tasks listeners add QUEUE"
    emit(rows, rows_table(rows) if rows else nothing, as_json=as_json)
