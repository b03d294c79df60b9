-- Hold a portfolio as it is given; what was held under its id before is forgotten.
-- KEYS  1 portfolio  2 positions  3 event, where there is one
-- ARGV  1 id  2 seconds that an event is remembered  3 what is held besides positions, JSON
--       4.. instrument, quantity, ...
-- Returns the version; that of an event which was seen before.
local seen = KEYS[3] and redis.call('GET', KEYS[3])
if seen then return tonumber(seen) end
local version = next_version(ARGV[1])
redis.call('HSET', KEYS[1], 'attributes', ARGV[3])
redis.call('HDEL', KEYS[1], 'attempts')
redis.call('UNLINK', KEYS[2])
for place = 4, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[place], ARGV[place + 1]) end
-- Dirty, it is computed under the market of now; outdated it is not besides.
redis.call('ZADD', 'risk:live', 'NX', redis.call('GET', 'risk:live:epoch') or 0, ARGV[1])
if KEYS[3] then redis.call('SET', KEYS[3], version, 'EX', ARGV[2]) end
mark(ARGV[1], now_ms())
return version
