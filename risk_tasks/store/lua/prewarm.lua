-- Add to the decayed counts of what is asked for, and keep the highest.
-- A score is log2(count) + now / half-life: it never grows large, keeps its order as time passes
-- without being touched, and is read back as 2 ^ (score - now / half-life).
-- KEYS  1 popular
-- ARGV  1 half-life s  2 members kept  3 seconds that a request is kept  4.. digest, weight, ...
-- Returns the digests whose request is not held.
local time = redis.call('TIME')
local now = (time[1] + time[2] / 1e6) / ARGV[1]
for place = 4, #ARGV, 2 do
  local added = math.log(ARGV[place + 1]) / math.log(2) + now
  local old = redis.call('ZSCORE', KEYS[1], ARGV[place])
  if old then
    local high, low = math.max(old, added), math.min(old, added)
    added = high + math.log(1 + 2 ^ (low - high)) / math.log(2)
  end
  redis.call('ZADD', KEYS[1], added, ARGV[place])
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
local surplus = redis.call('ZCARD', KEYS[1]) - ARGV[2]
if surplus > 0 then
  local lowest = redis.call('ZPOPMIN', KEYS[1], surplus)
  for place = 1, #lowest, 2 do redis.call('UNLINK', 'risk:popular:' .. lowest[place]) end
end
local wanted = {}
for place = 4, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[place])
    and redis.call('EXPIRE', 'risk:popular:' .. ARGV[place], ARGV[3]) == 0 then
    wanted[#wanted + 1] = ARGV[place]
  end
end
return wanted
