"""Loading and calling of Lua scripts on a real server."""

from __future__ import annotations

import pytest

from risk_tasks.scripts import Script

#: a script of each package
SCRIPTS = [
    ("risk_tasks.store", "idempotency", "renew", ()),
    ("risk_tasks.store", "published", "limits", ("live",)),
    ("risk_tasks.broker", "blocks", "start", ("common",)),
    ("risk_tasks.cache", "cache", "release", ()),
]
ARGS = ["risk:limits:v", "risk:limit_sets"], ["v", "name", "document"]


@pytest.mark.parametrize(("package", "file", "name", "after"), SCRIPTS)
def test_a_script_is_loaded_where_the_server_does_not_have_it(server, package, file, name, after):
    script = Script(server.client, package, file, name, after=after)
    server.client.script_flush()

    first = script(keys=ARGS[0], args=ARGS[1])

    assert first == script(keys=ARGS[0], args=ARGS[1])


def test_commands_beside_a_script_run_again_where_it_had_to_be_loaded(server):
    script = Script(server.client, "risk_tasks.store", "idempotency", "claim")
    claim = script.command(["key"], ["request", "owner", 1_000])
    claimed, running = [b"claimed", 0, b"", b""], [b"running", b"0", b"", b""]

    for transaction, outcome in ((True, claimed), (False, running)):
        server.client.script_flush()
        answers = script.run_all([["SET", "beside", 1], claim], transaction=transaction)
        assert answers == [True, outcome]


def test_a_script_that_is_there_costs_one_command(server):
    script = Script(server.client, "risk_tasks.store", "idempotency", "renew")
    script(keys=["key"], args=["owner", 1_000])
    server.client.config_resetstat()

    script(keys=["key"], args=["owner", 1_000])
    script.run_all([script.command(["key"], ["owner", 1_000])] * 2, transaction=False)

    stats = server.client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 3
    assert not {"cmdstat_script|load", "cmdstat_script|exists", "cmdstat_script"} & set(stats)
