-- Keep the report of one taken portfolio, and tell which limits changed their state.
-- What is not of the latest turn that was recorded comes too late and changes nothing: turns are
-- counted as portfolios are taken, so that a later turn has the same version or a later one.
-- KEYS  1 portfolio  2 report  3 states  4 stream
-- ARGV  1 id  2 version  3 turn  4 report  5 entries that the stream keeps
--       6 envelope that has the changes handed on  7.. limit, state, standing, ...
-- Returns how many limits changed, or -1 where it came too late.
local held = redis.call('HMGET', KEYS[1], 'version', 'turn', 'recorded')
if not held[1] or tonumber(ARGV[2]) > tonumber(held[1])
  or tonumber(ARGV[3]) <= tonumber(held[3] or 0) then
  redis.call('HINCRBY', 'risk:counters', 'live_late', 1)
  return -1
end
redis.call('HINCRBY', 'risk:counters', 'live_recorded', 1)
redis.call('HSET', KEYS[1], 'recorded', ARGV[3], 'reported', ARGV[2], 'reported_ms', now_ms())
redis.call('HDEL', KEYS[1], 'attempts')
redis.call('SET', KEYS[2], ARGV[4])
if ARGV[3] == held[2] then redis.call('ZREM', 'risk:live:underway', ARGV[1]) end

local before, changed = {}, 0
local states = redis.call('HGETALL', KEYS[3])
for place = 1, #states, 2 do before[states[place]] = states[place + 1] end
local function stands(limit, state, standing)
  local was = before[limit] or 'ok'
  before[limit] = nil
  if was == state then return end
  if state == 'ok' then redis.call('HDEL', KEYS[3], limit)
  else redis.call('HSET', KEYS[3], limit, state) end
  change_state(KEYS[4], ARGV[5], ARGV[1], ARGV[2], ARGV[3], limit, was, state, standing)
  changed = changed + 1
end
for place = 7, #ARGV, 3 do stands(ARGV[place], ARGV[place + 1], ARGV[place + 2]) end
-- What is left was told of once, and is held against it no longer.
for place = 1, #states, 2 do
  if before[states[place]] then stands(states[place], 'ok', '') end
end
if changed > 0 and redis.call('HLEN', 'risk:live:listeners') > 0
  and redis.call('SET', 'risk:live:handing', 1, 'NX', 'EX', 5) then
  redis.call('LPUSH', 'risk.critical', ARGV[6])
end
return changed
