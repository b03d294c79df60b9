-- Dead letters: malformed messages, abandoned live portfolios, and blocks (see common.lua).

-- script: quarantine
-- Keep a malformed message.
-- ARGV  1 letter id  2 message  3 lane  4 reason  5 maximum of dead letters  6 of their bytes
redis.call('HSET', 'risk:dead:' .. ARGV[1], 'envelope', ARGV[2], 'lane', ARGV[3])
redis.call('HINCRBY', 'risk:counters', 'quarantined', 1)
add_letter(ARGV[1], ARGV[4], now_ms(), ARGV[5], ARGV[6])
return 1

-- script: add_portfolio
-- Keep a letter of an abandoned live portfolio; it replaces the earlier one.
-- ARGV  1 letter id  2 portfolio  3 lane  4 reason  5 attempts  6 envelope, JSON
--       7 maximum of dead letters  8 of their bytes
local letter = 'risk:dead:' .. ARGV[1]
remove_letter(ARGV[1])
redis.call('UNLINK', letter)
redis.call('HSET', letter, 'portfolio', ARGV[2], 'lane', ARGV[3], 'requeues', ARGV[5],
  'envelope', ARGV[6], 'checks', 1)
redis.call('HINCRBY', 'risk:counters', 'live_abandoned', 1)
add_letter(ARGV[1], ARGV[4], now_ms(), ARGV[7], ARGV[8])
return 1

-- script: remove
-- KEYS  1 dead letter  2 payload
-- ARGV  1 letter id
-- Returns whether the letter existed.
local removed = remove_letter(ARGV[1]) + redis.call('UNLINK', KEYS[1])
-- The payload of a block that is not a dead letter stays.
if removed > 0 then redis.call('UNLINK', KEYS[2]) end
return removed > 0 and 1 or 0

-- script: replay
-- Requeue a block with its stamp and a new deadline; mark a live portfolio dirty.
-- KEYS  1 dead letter  2 block hash  3 the call that replayed it
-- ARGV  1 letter id  2 timeout in ms  3 id of this call
-- Returns 'replayed', 'unknown', or 'malformed' for a message, which cannot be replayed. A repeated
-- call, whose reply was lost, returns 'replayed' again.
local lane, checks, bytes, envelope, portfolio = unpack(redis.call('HMGET', KEYS[1],
  'lane', 'checks', 'bytes', 'envelope', 'portfolio'))
local now = now_ms()
if not lane then return redis.call('GET', KEYS[3]) == ARGV[3] and 'replayed' or 'unknown' end
if portfolio or checks then redis.call('SET', KEYS[3], ARGV[3], 'EX', 60) end
if portfolio then
  remove_letter(ARGV[1])
  redis.call('UNLINK', KEYS[1])
  local key = 'risk:live:portfolio:' .. portfolio
  if redis.call('EXISTS', key) == 1 then
    redis.call('HDEL', key, 'failed')
    redis.call('ZADD', 'risk:live:dirty', 'NX', now, portfolio)
    redis.call('LPUSH', 'risk:live:wake', 1)
  end
  return 'replayed'
end
if not checks then return 'malformed' end
remove_letter(ARGV[1])
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('HDEL', KEYS[2], 'reason', 'died_ms', 'kept_bytes', 'worker', 'started_ms', 'requeues',
  'published_ms')
redis.call('HSET', KEYS[2], 'enqueued_ms', now, 'enqueued_us', micros(),
  'deadline_ms', now + ARGV[2], 'client', '', 'queue', lane)
redis.call('UNLINK', 'risk:result:' .. ARGV[1])
local entry = {checks = checks, bytes = bytes, envelope = envelope}
add_to_ledger(ARGV[1], lane, lane, entry, now, now + ARGV[2])
return 'replayed'
