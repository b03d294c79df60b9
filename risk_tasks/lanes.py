"""Lanes, tasks and Redis keys: every name that producers, workers and operators share.

Our own keys begin with `risk:`. The lanes' lists, `_kombu.*`, `unacked*` and
`celery-task-meta-*` are Celery's and keep its names. All stand in one database, since one Lua
call must put a block on its lane and write its entry.

=============================  ======  ==========================================================
key                            type    holds; how long it lives
=============================  ======  ==========================================================
risk.LANE                      list    Celery envelopes; until a worker takes them
risk:block:ID                  hash    payload, stamp, deadline, owner; until answered or swept
risk:ledger                    zset    block ids by deadline (server ms); as the blocks
risk:lane:LANE                 hash    checks, bytes waiting or running; for ever
risk:result:ID                 string  answer bytes; until read, 900 s at most
risk:reply:CLIENT              list    ids of answered blocks; until read, 900 s at most
risk:clients                   zset    clients by when they were last seen (server ms)
risk:counters                  hash    duplicates, expired, swept, ...; for ever
risk:markets                   hash    market id by name; for ever
risk:market:ID                 hash    marks and scenarios, panel id; superseded ones for 1 day
risk:panel:ID                  string  returns; as the markets on it
risk:limit_sets                hash    version by name; for ever
risk:limits:VERSION            string  a limit set, JSON; for ever
risk:role:NAME                 hash    role, lanes, pid, host of a live role; 15 s, renewed
=============================  ======  ==========================================================
"""

from __future__ import annotations

from enum import StrEnum

CHECK_TASK = "risk.check"
CHECK_BLOCK_TASK = "risk.check_block"
SWEEP_TASK = "risk.sweep"


class Priority(StrEnum):
    """The lanes, most urgent first; workers serve them strictly in this order."""

    CRITICAL = "critical"
    NORMAL = "normal"
    BATCH = "batch"

    @property
    def queue(self) -> str:
        return f"risk.{self.value}"


#: how many checks may wait or run in a lane before it refuses more
LANE_CAPACITY = {Priority.CRITICAL: 100_000, Priority.NORMAL: 500_000, Priority.BATCH: 1_000_000}

RESULT_TTL_S = 900
#: how long past its deadline a block is left to a worker that may still finish it
OVERDUE_GRACE_S = 30
#: a client not seen for this long is taken for gone
CLIENT_GONE_S = 60
SUPERSEDED_MARKET_TTL_S = 86_400
ROLE_TTL_S = 15

LEDGER_KEY = "risk:ledger"
CLIENTS_KEY = "risk:clients"
COUNTERS_KEY = "risk:counters"
MARKETS_KEY = "risk:markets"
LIMIT_SETS_KEY = "risk:limit_sets"
DEFAULT_NAME = "default"


def block_key(block_id: str) -> str:
    return f"risk:block:{block_id}"


def lane_key(lane: Priority) -> str:
    return f"risk:lane:{lane.value}"


def result_key(block_id: str) -> str:
    return f"risk:result:{block_id}"


def reply_key(client_id: str) -> str:
    return f"risk:reply:{client_id}"


def market_key(market_id: str) -> str:
    return f"risk:market:{market_id}"


def panel_key(panel_id: str) -> str:
    return f"risk:panel:{panel_id}"


def limits_key(version: str) -> str:
    return f"risk:limits:{version}"


def role_key(name: str) -> str:
    return f"risk:role:{name}"
