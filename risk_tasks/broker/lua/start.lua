-- Begin a block: write who works on it, unless its deadline has passed. Its payload is read by the
-- command that follows.
-- KEYS  1 block hash
-- ARGV  1 block id  2 worker  3 seconds to keep an outcome
-- Returns {'gone'}, {'expired'} or {'started', market id, limits version, queued ms, ms to the
-- deadline, lane, checks, 1 where nothing is kept of the answer}.
local entry = redis.call('HMGET', KEYS[1],
  'market_id', 'limits_version', 'enqueued_ms', 'deadline_ms', 'lane', 'worker',
  'checks', 'enqueued_us', 'unkept', 'queue')
if not entry[1] then return {'gone'} end
local now = now_ms()
if now > tonumber(entry[4]) then
  expire(ARGV[1], ARGV[3])
  return {'expired'}
end
if entry[6] then release(entry[6], ARGV[1]) end
redis.call('HSET', KEYS[1], 'worker', ARGV[2], 'started_ms', now)
redis.call('ZREM', 'risk:waiting:' .. (entry[10] or entry[5]), ARGV[1])
redis.call('SADD', 'risk:held:' .. ARGV[2], ARGV[1])
redis.call('ZADD', 'risk:holders', now, ARGV[2])
return {'started', entry[1], entry[2], age_ms(entry[3], entry[8]), entry[4] - now, entry[5], entry[7],
  entry[9] and 1 or 0}
