-- Put a dead block on its lane once more, under its old stamp and with a deadline of its own. A live
-- portfolio that was given up becomes dirty instead.
-- KEYS  1 dead letter  2 block hash
-- ARGV  1 block id  2 timeout ms
-- Returns 'replayed', 'unknown', or 'malformed' for a message that has no payload to replay.
local entry = redis.call('HMGET', KEYS[1], 'lane', 'checks', 'bytes', 'envelope', 'portfolio')
if not entry[1] then return 'unknown' end
if entry[5] then
  forget_dead(ARGV[1])
  redis.call('UNLINK', KEYS[1])
  local portfolio = 'risk:live:portfolio:' .. entry[5]
  if redis.call('EXISTS', portfolio) == 1 then
    redis.call('HDEL', portfolio, 'failed')
    redis.call('ZADD', 'risk:live:dirty', 'NX', now_ms(), entry[5])
    redis.call('LPUSH', 'risk:live:wake', 1)
  end
  return 'replayed'
end
if not entry[2] then return 'malformed' end
local now = now_ms()
forget_dead(ARGV[1])
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('HDEL', KEYS[2], 'reason', 'died_ms', 'kept_bytes', 'worker', 'started_ms', 'put_back',
  'published_ms')
redis.call('HSET', KEYS[2], 'enqueued_ms', now, 'enqueued_us', micros(),
  'deadline_ms', now + ARGV[2], 'client', '', 'queue', entry[1])
redis.call('UNLINK', 'risk:result:' .. ARGV[1])
redis.call('ZADD', 'risk:ledger', now + ARGV[2], ARGV[1])
redis.call('ZADD', 'risk:waiting:' .. entry[1], now, ARGV[1])
redis.call('HINCRBY', 'risk:lane:' .. entry[1], 'checks', entry[2])
redis.call('HINCRBY', 'risk:lane:' .. entry[1], 'bytes', entry[3])
redis.call('LPUSH', 'risk.' .. entry[1], entry[4])
return 'replayed'
