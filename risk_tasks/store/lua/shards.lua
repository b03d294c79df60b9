-- The number of shards, and which worker leases which.

-- script: agree
-- Set or read the number of shards. It changes only if no worker serves the present shards and no
-- message waits in them.
-- ARGV  1 number ('' to read it)  2 '1' if a worker serves the present shards  3.. lanes
-- Returns {'agreed', number}, {'served', number} or {'waiting', number}.
local kept = tonumber(redis.call('GET', 'risk:shards') or 1)
local wanted = tonumber(ARGV[1]) or kept
if wanted ~= kept then
  if ARGV[2] == '1' then return {'served', kept} end
  for place = 3, #ARGV do
    for shard = 0, kept - 1 do
      if redis.call('EXISTS', 'risk.' .. ARGV[place] .. '.' .. shard) == 1 then
        return {'waiting', kept}
      end
    end
    redis.call('UNLINK', 'risk:shard_leases:' .. ARGV[place], 'risk:shard_workers:' .. ARGV[place])
  end
end
redis.call('SET', 'risk:shards', wanted)
return {'agreed', wanted}

-- script: hold
-- Note that a worker is alive, release and take leases, and return all leases.
-- ARGV  1 worker  2 number of shards  3 ms after which a worker that was not seen is dead
--       4 ms that the oldest block of a shard may wait before the shard is late
--       5 for each lane {lane, {shards to take}, {shards to release}}, JSON  6 now, ms ('' for TIME)
-- Returns the number of shards if it differs, else for each lane
-- {running workers, shards and the worker of each, late shards, the latest first}.
local count = tonumber(redis.call('GET', 'risk:shards') or 0)
if count == 0 then
  redis.call('SET', 'risk:shards', ARGV[2])
elseif count ~= tonumber(ARGV[2]) then
  return count
end
local time = redis.call('TIME')
local now = tonumber(ARGV[6]) or time[1] * 1000 + math.floor(time[2] / 1000)

local function late_shards(lane)
  local waiting, late = {}, {}
  for shard = 0, ARGV[2] - 1 do
    table.insert(waiting, 'risk:waiting:' .. lane .. '.' .. shard)
  end
  -- Every worker calls this four times a second: if nothing waits, one command is enough.
  if redis.call('EXISTS', unpack(waiting)) == 0 then return late end
  for shard = 0, ARGV[2] - 1 do
    local oldest = redis.call('ZRANGE', waiting[shard + 1], 0, 0, 'WITHSCORES')
    if oldest[1] and now - oldest[2] > tonumber(ARGV[4]) then
      table.insert(late, {shard, tonumber(oldest[2])})
    end
  end
  table.sort(late, function(one, other) return one[2] < other[2] end)
  for place, one in ipairs(late) do late[place] = one[1] end
  return late
end

local function hold(lane, take, give_up)
  local leases, workers = 'risk:shard_leases:' .. lane, 'risk:shard_workers:' .. lane
  redis.call('ZADD', workers, now, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', workers, '-inf', '(' .. now - ARGV[3])
  for _, shard in ipairs(give_up) do
    if redis.call('HGET', leases, shard) == ARGV[1] then redis.call('HDEL', leases, shard) end
  end
  for _, shard in ipairs(take) do
    local held = redis.call('HGET', leases, shard)
    if not held or not redis.call('ZSCORE', workers, held) then
      redis.call('HSET', leases, shard, ARGV[1])
    end
  end
  redis.call('EXPIRE', workers, 60)
  redis.call('EXPIRE', leases, 60)
  return {redis.call('ZRANGE', workers, 0, -1), redis.call('HGETALL', leases), late_shards(lane)}
end

local found = {}
for place, one in ipairs(cjson.decode(ARGV[5])) do found[place] = hold(one[1], one[2], one[3]) end
return found

-- script: leave
-- Release all leases of a worker that stops.
-- ARGV  1 worker  2.. its lanes
for place = 2, #ARGV do
  local leases = 'risk:shard_leases:' .. ARGV[place]
  redis.call('ZREM', 'risk:shard_workers:' .. ARGV[place], ARGV[1])
  local held = redis.call('HGETALL', leases)
  for at = 1, #held, 2 do
    if held[at + 1] == ARGV[1] then redis.call('HDEL', leases, held[at]) end
  end
end
return 1
