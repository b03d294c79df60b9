-- Prepended to the scripts of live portfolios, and to those that publish what these are checked on.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whoever takes what is dirty sleeps on this list; one token in it is enough.
local function wake()
  if redis.call('LLEN', 'risk:live:wake') == 0 then redis.call('LPUSH', 'risk:live:wake', 1) end
end

-- Live portfolios are checked on the market and the limit set of this name: with another one their
-- reports are outdated.
local function outdate(name)
  if name ~= 'default' then return end
  redis.call('INCR', 'risk:live:epoch')
  wake()
end

-- What is dirty already keeps its place.
local function mark(id, at_ms)
  if redis.call('ZADD', 'risk:live:dirty', 'NX', at_ms, id) == 1 then wake() end
end

-- The version that the portfolio has from now on. One that is set again goes on where it ended, so
-- that a late report of its former life is known to be late.
local function next_version(id)
  local portfolio, gone = 'risk:live:portfolio:' .. id, 'risk:live:gone:' .. id
  local last = redis.call('HMGET', gone, 'version', 'turn')
  if last[1] then
    redis.call('HSET', portfolio, 'version', last[1], 'turn', last[2], 'recorded', last[2])
    redis.call('UNLINK', gone)
  end
  return redis.call('HINCRBY', portfolio, 'version', 1)
end
