-- Add to positions, in the order in which the calls come.
-- A quantity is kept as text of 17 digits, which is every bit of it; the server's own arithmetic
-- would round.
-- KEYS  1 portfolio  2 positions  3 event, where there is one
-- ARGV  1 id  2 seconds that an event is remembered  3.. instrument, delta, ...
-- Returns {'changed', version}, {'unknown'}, or {'overflow', instrument} with nothing changed.
if redis.call('EXISTS', KEYS[1]) == 0 then return {'unknown'} end
local seen = KEYS[3] and redis.call('GET', KEYS[3])
if seen then return {'changed', tonumber(seen)} end
local sums = {}
for place = 3, #ARGV, 2 do
  local held = redis.call('HGET', KEYS[2], ARGV[place])
  local sum = tonumber(held or 0) + tonumber(ARGV[place + 1])
  if sum ~= sum or math.abs(sum) == math.huge then return {'overflow', ARGV[place]} end
  sums[#sums + 1] = sum
end
for number, sum in ipairs(sums) do
  local instrument = ARGV[1 + 2 * number]
  if sum == 0 then
    redis.call('HDEL', KEYS[2], instrument)
  else
    redis.call('HSET', KEYS[2], instrument, string.format('%.17g', sum))
  end
end
local version = redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HDEL', KEYS[1], 'attempts')
if KEYS[3] then redis.call('SET', KEYS[3], version, 'EX', ARGV[2]) end
mark(ARGV[1], now_ms())
return {'changed', version}
