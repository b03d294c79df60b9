-- Forget a portfolio; its limits that are not ok become so, since nobody holds it any more.
-- KEYS  1 portfolio  2 positions  3 report  4 states  5 stream  6 event, where there is one
-- ARGV  1 id  2 entries that the stream keeps  3 seconds that its last version is remembered
-- Returns its last version, or nothing where there is none.
local seen = KEYS[6] and redis.call('GET', KEYS[6])
if seen then return tonumber(seen) end
local last = redis.call('HMGET', KEYS[1], 'version', 'turn')
if not last[1] then return false end
local states = redis.call('HGETALL', KEYS[4])
for place = 1, #states, 2 do
  change_state(KEYS[5], ARGV[2], ARGV[1], last[1], 'removed', states[place], states[place + 1],
    'ok', '')
end
local gone = 'risk:live:gone:' .. ARGV[1]
redis.call('HSET', gone, 'version', last[1], 'turn', last[2] or 0)
redis.call('EXPIRE', gone, ARGV[3])
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
for _, set in ipairs({'risk:live', 'risk:live:dirty', 'risk:live:underway'}) do
  redis.call('ZREM', set, ARGV[1])
end
if KEYS[6] then redis.call('SET', KEYS[6], last[1], 'EX', ARGV[3]) end
return tonumber(last[1])
