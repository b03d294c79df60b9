-- Begin a block: write who works on it and hand out its payload, unless its deadline has passed.
-- KEYS  1 block hash
-- ARGV  1 block id  2 worker
-- Returns {'gone'}, {'expired'} or {'started', payload, market id, limits version, queued ms}.
local entry = redis.call('HMGET', KEYS[1],
  'payload', 'market_id', 'limits_version', 'enqueued_ms', 'deadline_ms')
if not entry[1] then return {'gone'} end
local now = now_ms()
if now > tonumber(entry[5]) then
  redis.call('HINCRBY', 'risk:counters', 'expired', redis.call('HGET', KEYS[1], 'checks'))
  settle(ARGV[1])
  return {'expired'}
end
redis.call('HSET', KEYS[1], 'worker', ARGV[2], 'started_ms', now)
return {'started', entry[1], entry[2], entry[3], now - entry[4]}
