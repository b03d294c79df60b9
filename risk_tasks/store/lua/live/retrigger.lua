-- Make dirty again what was taken and has been underway for too long; what was tried often enough
-- is returned instead, as `take` returns it, for whoever gives it up. An attempt is a turn that
-- somebody began to compute: what only waited for a worker is none.
-- ARGV  1 ms  2 attempts  3 how many at once
-- Returns {how many are dirty again, {id, version, turn, attempts, attributes, {}}, ...}.
local now = now_ms()
local ids = redis.call('ZRANGE', 'risk:live:underway', '-inf', now - ARGV[1], 'BYSCORE',
  'LIMIT', 0, ARGV[3])
local given_up, again = {}, 0
for _, id in ipairs(ids) do
  local portfolio = 'risk:live:portfolio:' .. id
  local known = redis.call('HMGET', portfolio, 'attempts', 'turn', 'begun')
  local attempts = tonumber(known[1] or 0)
  if known[2] == known[3] then attempts = redis.call('HINCRBY', portfolio, 'attempts', 1) end
  if attempts < tonumber(ARGV[2]) then
    redis.call('ZREM', 'risk:live:underway', id)
    mark(id, now)
    again = again + 1
  else
    redis.call('ZADD', 'risk:live:underway', now, id)
    local held = redis.call('HMGET', portfolio, 'version', 'attributes')
    local turn = redis.call('HINCRBY', portfolio, 'turn', 1)
    given_up[#given_up + 1] = {id, held[1], turn, tostring(attempts), held[2], {}}
  end
end
return {again, unpack(given_up)}
