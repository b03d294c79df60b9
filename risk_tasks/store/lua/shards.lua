-- The number of shards, and the leases of shards by workers.

-- script: agree
-- Set the number of shards, or read it. It changes only while no worker serves and no block waits
-- in a shard.
-- ARGV  1 number of shards ('': only read it)  2 1 if workers serve, else 0  3.. lanes
-- Returns {'agreed', number}, {'served', number} or {'waiting', number}.
local current = tonumber(redis.call('GET', 'risk:shards') or 1)
local wanted = tonumber(ARGV[1]) or current
if wanted ~= current then
  if ARGV[2] == '1' then return {'served', current} end
  for i = 3, #ARGV do
    for shard = 0, current - 1 do
      if redis.call('EXISTS', 'risk.' .. ARGV[i] .. '.' .. shard) == 1 then
        return {'waiting', current}
      end
    end
    redis.call('UNLINK', 'risk:shard_leases:' .. ARGV[i], 'risk:shard_workers:' .. ARGV[i])
  end
end
redis.call('SET', 'risk:shards', wanted)
return {'agreed', wanted}

-- script: renew
-- Record that a worker is alive, and give every live worker its share of the shards of each lane.
-- ARGV  1 worker  2 number of shards  3 ms after which a worker that was not seen is dead
--       4 ms after which a waiting block makes its shard late  5 now in ms ('': the server's time)
--       6.. lanes
-- Returns the number of shards if it is not ARGV[2], else for each lane {shards of the worker, late
-- shards with the longest wait first}.
local count = tonumber(redis.call('GET', 'risk:shards') or 0)
if count == 0 then
  count = tonumber(ARGV[2])
  redis.call('SET', 'risk:shards', count)
elseif count ~= tonumber(ARGV[2]) then
  return count
end
local time = redis.call('TIME')
local now = tonumber(ARGV[5]) or time[1] * 1000 + math.floor(time[2] / 1000)
local shards = {}
for shard = 0, count - 1 do table.insert(shards, shard) end

-- Shares differ by at most one. A shard moves only if its worker is dead or has more than its share;
-- the larger shares stay with the workers that hold most, so that the fewest shards move.
local function assign(lane, workers)
  local leases, held, free = 'risk:shard_leases:' .. lane, {}, {}
  for _, worker in ipairs(workers) do held[worker] = {} end
  for i, worker in ipairs(redis.call('HMGET', leases, unpack(shards))) do
    table.insert(held[worker] or free, shards[i])
  end
  table.sort(workers, function(one, other)
    if #held[one] ~= #held[other] then return #held[one] > #held[other] end
    return one < other
  end)
  local least, n_larger = math.floor(count / #workers), count % #workers
  local function share(i) return least + (i <= n_larger and 1 or 0) end
  for i, worker in ipairs(workers) do
    while #held[worker] > share(i) do table.insert(free, table.remove(held[worker])) end
  end
  for i, worker in ipairs(workers) do
    while #held[worker] < share(i) do
      local shard = table.remove(free, 1)
      table.insert(held[worker], shard)
      redis.call('HSET', leases, shard, worker)
    end
  end
  redis.call('EXPIRE', leases, 60)
  return held[ARGV[1]]
end

local function late_shards(lane)
  local waiting, late, since = {}, {}, {}
  for i, shard in ipairs(shards) do
    waiting[i] = 'risk:waiting:' .. lane .. '.' .. shard
  end
  -- Every worker calls this four times a second: if no block waits, it is one command.
  if redis.call('EXISTS', unpack(waiting)) == 0 then return late end
  for i, shard in ipairs(shards) do
    local oldest = redis.call('ZRANGE', waiting[i], 0, 0, 'WITHSCORES')
    if oldest[1] and now - oldest[2] > tonumber(ARGV[4]) then
      table.insert(late, shard)
      since[shard] = tonumber(oldest[2])
    end
  end
  table.sort(late, function(one, other) return since[one] < since[other] end)
  return late
end

local found = {}
for i = 6, #ARGV do
  local workers = 'risk:shard_workers:' .. ARGV[i]
  redis.call('ZADD', workers, now, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', workers, '-inf', '(' .. now - ARGV[3])
  redis.call('EXPIRE', workers, 60)
  table.insert(found, {assign(ARGV[i], redis.call('ZRANGE', workers, 0, -1)),
    late_shards(ARGV[i])})
end
return found

-- script: leave
-- Delete the leases of a worker that stops.
-- ARGV  1 worker  2.. its lanes
for i = 2, #ARGV do
  local leases = 'risk:shard_leases:' .. ARGV[i]
  redis.call('ZREM', 'risk:shard_workers:' .. ARGV[i], ARGV[1])
  local held = redis.call('HGETALL', leases)
  for at = 1, #held, 2 do
    if held[at + 1] == ARGV[1] then redis.call('HDEL', leases, held[at]) end
  end
end
return 1
