-- Add to the decayed counts of requests, and keep the highest.
-- A score is log2(count) + now / half-life. It stays small, its order does not change while time
-- passes, and the count is 2 ^ (score - now / half-life).
-- KEYS  1 scores by digest
-- ARGV  1 half-life in s  2 capacity  3 time to live of a request in s  4.. digest, count, ...
-- Returns the digests whose request is not stored.
local time = redis.call('TIME')
local now = (time[1] + time[2] / 1e6) / ARGV[1]
for i = 4, #ARGV, 2 do
  local added = math.log(ARGV[i + 1]) / math.log(2) + now
  local old = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if old then
    local high, low = math.max(old, added), math.min(old, added)
    added = high + math.log(1 + 2 ^ (low - high)) / math.log(2)
  end
  redis.call('ZADD', KEYS[1], added, ARGV[i])
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
local surplus = redis.call('ZCARD', KEYS[1]) - ARGV[2]
if surplus > 0 then
  local lowest = redis.call('ZPOPMIN', KEYS[1], surplus)
  for i = 1, #lowest, 2 do redis.call('UNLINK', 'risk:popular:' .. lowest[i]) end
end
local missing = {}
for i = 4, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[i])
    and redis.call('EXPIRE', 'risk:popular:' .. ARGV[i], ARGV[3]) == 0 then
    missing[#missing + 1] = ARGV[i]
  end
end
return missing
