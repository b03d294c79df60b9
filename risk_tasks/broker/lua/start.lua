-- Begin a block: write who works on it and hand out its payload, unless its deadline has passed.
-- KEYS  1 block hash
-- ARGV  1 block id  2 worker  3 seconds to keep an outcome
-- Returns {'gone'}, {'expired'} or {'started', payload, market id, limits version, queued ms}.
local entry = redis.call('HMGET', KEYS[1],
  'payload', 'market_id', 'limits_version', 'enqueued_ms', 'deadline_ms', 'lane', 'worker')
if not entry[1] then return {'gone'} end
local now = now_ms()
if now > tonumber(entry[5]) then
  expire(ARGV[1], ARGV[3])
  return {'expired'}
end
if entry[7] then release(entry[7], ARGV[1]) end
redis.call('HSET', KEYS[1], 'worker', ARGV[2], 'started_ms', now)
redis.call('ZREM', 'risk:waiting:' .. entry[6], ARGV[1])
redis.call('SADD', 'risk:held:' .. ARGV[2], ARGV[1])
redis.call('ZADD', 'risk:holders', now, ARGV[2])
return {'started', entry[1], entry[2], entry[3], now - entry[4]}
