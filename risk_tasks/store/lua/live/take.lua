-- Take what is due: dirty portfolios that are many enough or have waited long enough, or else some
-- whose report is of an earlier market or limit set.
-- ARGV  1 how many are enough, and the most that are taken  2 ms that one waits at most
--       3 how many may be underway at once  4 how many, where outdated ones are taken; 0 for none
-- Returns {what, ms until something may be due (-1: nothing is dirty, nor outdated),
--          {id, version, turn, attempts, attributes, {instrument, quantity, ...}}, ...}
--         where `what` is 'changed', 'outdated' or 'nothing'.
local most, now = tonumber(ARGV[1]), now_ms()
local underway = redis.call('ZCARD', 'risk:live:underway')
local room, refreshed = math.min(most, ARGV[3] - underway), math.min(most, ARGV[4] - underway)
local epoch = tonumber(redis.call('GET', 'risk:live:epoch') or 0)
local oldest = redis.call('ZRANGE', 'risk:live:dirty', 0, 0, 'WITHSCORES')[2]
local waits = oldest and math.max(0, oldest + ARGV[2] - now)
if waits and waits > 0 and redis.call('ZCARD', 'risk:live:dirty') >= most then waits = 0 end

local what, ids = 'nothing', {}
if room > 0 and waits == 0 then
  what, ids = 'changed', redis.call('ZRANGE', 'risk:live:dirty', 0, room - 1)
elseif refreshed > 0 then
  ids = redis.call('ZRANGE', 'risk:live', '-inf', '(' .. epoch, 'BYSCORE', 'LIMIT', 0, refreshed)
  if #ids > 0 then what = 'outdated' end
end
-- What waits for room, or for its turn among the outdated, is looked for again soon.
if waits == 0 and #ids == 0 then waits = 20 end
if not waits and redis.call('ZCOUNT', 'risk:live', '-inf', '(' .. epoch) > 0 then waits = 20 end

local taken = {what, waits or -1}
for _, id in ipairs(ids) do
  local portfolio = 'risk:live:portfolio:' .. id
  redis.call('ZREM', 'risk:live:dirty', id)
  redis.call('ZADD', 'risk:live:underway', now, id)
  redis.call('ZADD', 'risk:live', 'XX', epoch, id)
  local turn = redis.call('HINCRBY', portfolio, 'turn', 1)
  local held = redis.call('HMGET', portfolio, 'version', 'attempts', 'attributes')
  taken[#taken + 1] = {id, held[1], turn, held[2] or '0', held[3],
    redis.call('HGETALL', 'risk:live:positions:' .. id)}
end
return taken
