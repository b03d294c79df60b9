"""Redis keys: their names, their types and how long they live.

Keys of risk_tasks begin with `risk:`. The lists of the lanes, `_kombu.*`, `unacked*`, `redbeat*`
and `celery-task-meta-*` belong to Celery and keep its names. All keys are in one database, because
one Lua call both writes the entry of a block and pushes its envelope onto a lane.

=============================  ======  ==========================================================
key                            type    holds; how long it lives
=============================  ======  ==========================================================
risk.LANE                      list    Celery envelopes; until a worker takes them
risk.LANE.N                    list    Celery envelopes of shard N; until a worker takes them
risk:block:ID                  hash    stamp, deadline, owner; until answered or swept
risk:payload:ID                string  checks of a block, Arrow bytes; as its block or dead letter
risk:ledger                    zset    block ids by deadline (server ms); as the blocks
risk:lane:LANE                 hash    checks, bytes waiting or running; settled; no limit
risk:waiting:LANE              zset    blocks not started by time of acceptance; as the blocks
risk:waiting:LANE.N            zset    blocks not started of shard N; as the blocks
risk:shards                    string  number of shards per lane; no limit
risk:shard_leases:LANE         hash    worker by shard; 60 s, renewed
risk:shard_workers:LANE        zset    workers that lease shards by time last seen; 60 s, renewed
risk:held:WORKER               set     blocks that a worker has started; as the blocks
risk:holders                   zset    workers that started blocks; until dead and reaped
risk:quotas                    hash    critical checks a second by client name; no limit
risk:quota:NAME                hash    unused part of a quota; until it is full again
risk:dead                      zset    dead letters by time (server ms); the last 1,000
risk:dead:ID                   hash    a dead letter: reason, message, stamp; as risk:dead
risk:lock:reaper               string  the scheduler that reaps; 5 s, renewed
risk:lock:autoscaler           string  the autoscaler that acts; 10 s, renewed
risk:autoscaler                string  its signals, decision and last change, JSON; 10 s, renewed
risk:answer:ID                 string  an answer of a worker; within one transaction
risk:result:ID                 string  answer bytes; until read, 900 s at most
risk:reply:CLIENT              list    ids of answered blocks, small answers; until read, 900 s
risk:clients                   zset    clients by time last seen (server ms)
risk:counters                  hash    duplicates, expired, swept, ...; no limit
risk:markets                   hash    market id by name; no limit
risk:market:ID                 hash    marks and scenarios, panel id; superseded ones for 1 day
risk:panel:ID                  string  returns; as the markets on it
risk:limit_sets                hash    version by name; no limit
risk:limits:VERSION            string  a limit set, JSON; no limit
risk:limit_matches:VERSION     hash    checks, and how many each limit applies to; 30 days, renewed
risk:role:NAME                 hash    role, lanes, pid, host of a running role; 3 s, renewed
risk:probe:NAME                string  that the server takes writes of a worker; 3 s, renewed
risk:roles                     set     names of roles, also of some that have ended; no limit
risk:cache:KEY                 string  a result by content hash; 900 s, or evicted (cache's server)
risk:lease:KEY                 string  the worker that computes a result; seconds (cache's server)
risk:popular                   zset    requests by log2 of decayed counts; the 10,000 highest
risk:popular:DIGEST            string  the request, JSON; as its member above, 1 day at most
risk:prewarm                   hash    the last run of prewarming, and totals of all runs; 1 day
risk:prewarm:slot              string  the last interval that was planned; 100 intervals
risk:prewarm:left              list    digests that the last run has not computed yet; 1 day
risk:prewarm:warm              zset    digests by time of computation (server s); as results
risk:prewarm:work              string  lock of the worker that computes a run; 5 s, renewed
risk:cache_counts              set     names of roles that have a hash below; no limit
risk:cache_counts:NAME         hash    counters of the cache of a role; 1 day after the last change
risk:slot:ID                   string  measurements of a worker in one slot, JSON; 300 s
risk:doctor                    string  a write that `doctor` tries; 1 s
risk:replicated                string  a write that replicas confirm after each call; no limit
risk:replayed:ID               string  the call that replayed a dead letter; 60 s
risk:server                    string  the process of the server that the reaper last saw; no limit
risk:slots                     zset    SLOT:WORKER by number of slot; the last 300 s
risk:unanswered:SLOT           hash    checks by lane that ended without an answer; 300 s
risk:idempotency:ID            hash    a request by its key, and its answer; 2 s renewed, then 900 s
risk:live                      zset    live portfolios by the epoch of their last computation
risk:live:portfolio:ID         hash    version, attempts, cash, nav, tags; until removed
risk:live:positions:ID         hash    quantity by instrument, exact; as the portfolio
risk:live:report:ID            string  the latest report, JSON; as the portfolio
risk:live:states:ID            hash    state by limit, without ok; as the portfolio
risk:live:event:ID             string  version after an event of a portfolio; 1 day
risk:live:gone:ID              hash    last version and attempt of a removed portfolio; 1 day
risk:live:epoch                string  count of changes of the market or the limit set
risk:live:dirty                zset    portfolios that are due, by start of waiting (server ms)
risk:live:critical             zset    the same for the critical lane
risk:live:in_progress          zset    portfolios in computation, by start (server ms)
risk:live:wake                 list    a token if a portfolio is due
risk:live:listeners            hash    the last change delivered, by Celery queue
risk:live:dispatch             string  whether a dispatch of changes is requested; 5 s
risk:critical_event:ID         string  the answer to a critical event, JSON; 1 day
risk:breaches                  stream  changes of state of limits; about the last 100,000
=============================  ======  ==========================================================
"""

from __future__ import annotations

from risk_tasks.queues import Lane

RESULT_TTL_S = 900
#: a client that was not seen for this long counts as gone
CLIENT_GONE_S = 60
SUPERSEDED_MARKET_TTL_S = 86_400
LIMIT_MATCHES_TTL_S = 30 * 86_400
#: a claim of an idempotency key that is not renewed within this time ends
CLAIM_TTL_S = 2.0
#: a role without an entry counts as dead; other roles take its blocks
ROLE_TTL_S = 3
#: a worker that has not renewed its leases for this long counts as dead
SHARD_LEASE_TTL_S = 2.0
MAX_DEAD, MAX_DEAD_BYTES = 1_000, 64 << 20
REAPER_LOCK_TTL_S = 5
AUTOSCALER_TTL_S = 10
MAX_POPULAR = 10_000
#: storing a larger request costs more than prewarming saves
MAX_POPULAR_BYTES = 8 << 10
#: the half-life of the count of a request
POPULAR_HALF_LIFE_S = 600
POPULAR_TTL_S = 86_400
CACHE_COUNTS_TTL_S = 86_400
#: the length of a slot of measurements, also in the Lua scripts, and how long slots are kept
SLOT_S, SLOTS_KEPT_S = 5, 300

SHARDS_KEY = "risk:shards"
LEDGER_KEY = "risk:ledger"
QUOTAS_KEY = "risk:quotas"
DEAD_KEY = "risk:dead"
REAPER_LOCK_KEY = "risk:lock:reaper"
AUTOSCALER_LOCK_KEY = "risk:lock:autoscaler"
AUTOSCALER_KEY = "risk:autoscaler"
CLIENTS_KEY = "risk:clients"
COUNTERS_KEY = "risk:counters"
MARKETS_KEY = "risk:markets"
LIMIT_SETS_KEY = "risk:limit_sets"
ROLES_KEY = "risk:roles"
CACHE_COUNTS_KEY = "risk:cache_counts"
POPULAR_KEY = "risk:popular"
PREWARM_TTL_S = 86_400
PREWARM_KEY = "risk:prewarm"
PREWARM_SLOT_KEY = "risk:prewarm:slot"
PREWARM_LEFT_KEY = "risk:prewarm:left"
PREWARM_WARM_KEY = "risk:prewarm:warm"
PREWARM_WORK_KEY = "risk:prewarm:work"
#: another worker may continue the run after this time without a step
PREWARM_WORK_TTL_S = 5
CACHE_PREFIX = b"risk:cache:"
LEASE_PREFIX = b"risk:lease:"
SLOTS_KEY = "risk:slots"
DOCTOR_KEY = "risk:doctor"
DEFAULT_NAME = "default"
LIVE_KEY = "risk:live"
LIVE_EPOCH_KEY = "risk:live:epoch"
LIVE_DIRTY_KEY = "risk:live:dirty"
LIVE_CRITICAL_KEY = "risk:live:critical"
LIVE_IN_PROGRESS_KEY = "risk:live:in_progress"
LIVE_WAKE_KEY = "risk:live:wake"
LIVE_LISTENERS_KEY = "risk:live:listeners"
LIVE_DISPATCH_KEY = "risk:live:dispatch"
#: a requested dispatch that has not started after this time is requested again
LIVE_DISPATCH_TTL_S = 5
BREACHES_KEY = "risk:breaches"
MAX_BREACHES = 100_000
#: lifetime of event ids and of the last versions of removed portfolios
LIVE_EVENT_TTL_S = 86_400
#: lifetime of the id of a call without an event id, which may be repeated
LIVE_CALL_TTL_S = 300


def block_key(block_id: str) -> str:
    return f"risk:block:{block_id}"


def lane_key(lane: Lane) -> str:
    return f"risk:lane:{lane.value}"


def waiting_key(lane: Lane, shard: int | None = None) -> str:
    return f"risk:waiting:{lane.value}" if shard is None else f"risk:waiting:{lane.value}.{shard}"


def shard_leases_key(lane: Lane) -> str:
    return f"risk:shard_leases:{lane.value}"


def shard_workers_key(lane: Lane) -> str:
    return f"risk:shard_workers:{lane.value}"


def payload_key(block_id: str) -> str:
    return f"risk:payload:{block_id}"


def dead_key(letter_id: str) -> str:
    return f"risk:dead:{letter_id}"


def replayed_key(letter_id: str) -> str:
    return f"risk:replayed:{letter_id}"


def answer_key(block_id: str) -> str:
    return f"risk:answer:{block_id}"


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


def probe_key(name: str) -> str:
    return f"risk:probe:{name}"


def popular_key(digest: str) -> str:
    return f"{POPULAR_KEY}:{digest}"


def cache_counts_key(name: str) -> str:
    return f"risk:cache_counts:{name}"


def limit_matches_key(version: str) -> str:
    return f"risk:limit_matches:{version}"


def slot_key(entry: str) -> str:
    """Return the key of `entry`, SLOT:WORKER."""
    return f"risk:slot:{entry}"


def unanswered_key(slot: int | str) -> str:
    return f"risk:unanswered:{slot}"


def live_portfolio_key(portfolio_id: str) -> str:
    return f"risk:live:portfolio:{portfolio_id}"


def live_positions_key(portfolio_id: str) -> str:
    return f"risk:live:positions:{portfolio_id}"


def live_report_key(portfolio_id: str) -> str:
    return f"risk:live:report:{portfolio_id}"


def live_states_key(portfolio_id: str) -> str:
    return f"risk:live:states:{portfolio_id}"


def critical_event_key(event_id: str) -> str:
    return f"risk:critical_event:{event_id}"


def idempotency_key(digest: str) -> str:
    return f"risk:idempotency:{digest}"
