-- Put back what is overdue: started by a worker whose heartbeat is gone, or never started and no
-- longer in its lane. A block that still waits in its lane is left alone.
-- ARGV  1 ms that a worker may take from fetch to start  2 how often a block is put back
--       3 seconds to keep an outcome  4 how many dead are kept  5 in how many bytes  6.. the lanes
-- Returns {put back, expired, buried}.
local now = now_ms()
local counts = {0, 0, 0}

local function put_back(id, lane, why, queue)
  local key = 'risk:block:' .. id
  local entry = redis.call('HMGET', key, 'envelope', 'deadline_ms', 'worker', 'put_back',
    'enqueued_ms', 'queue')
  local waiting = 'risk:waiting:' .. (queue or entry[6] or lane)
  if not entry[1] then
    redis.call('ZREM', waiting, id)
    return settle(id)
  end
  if now > tonumber(entry[2]) then
    expire(id, ARGV[3])
    counts[2] = counts[2] + 1
    return
  end
  if tonumber(entry[4] or 0) >= tonumber(ARGV[2]) then
    bury(id, why, ARGV[3], now, ARGV[4], ARGV[5])
    counts[3] = counts[3] + 1
    return
  end
  if entry[3] then release(entry[3], id) end
  redis.call('HDEL', key, 'worker', 'started_ms')
  redis.call('HINCRBY', key, 'put_back', 1)
  -- Whoever is free takes it up: the worker of its shard may be the one that died.
  redis.call('HSET', key, 'published_ms', now, 'queue', lane)
  redis.call('ZREM', waiting, id)
  redis.call('ZADD', 'risk:waiting:' .. lane, entry[5], id)
  redis.call('RPUSH', 'risk.' .. lane, entry[1])
  redis.call('HINCRBY', 'risk:counters', 'put_back', 1)
  counts[1] = counts[1] + 1
end

for _, worker in ipairs(redis.call('ZRANGE', 'risk:holders', 0, -1)) do
  if redis.call('EXISTS', 'risk:role:' .. worker) == 0 then
    for _, id in ipairs(redis.call('SRANDMEMBER', 'risk:held:' .. worker, 100)) do
      local lane = redis.call('HGET', 'risk:block:' .. id, 'lane')
      if lane then put_back(id, lane, 'its workers died') end
      release(worker, id)
    end
  end
end

-- Lists are served from the right, oldest first, and what is put back joins at the right: a block
-- that was accepted before all that stands near the right end has left the list. To a lane's own list
-- blocks of its shards come back too; in that of a shard they stand in the order of their coming.
local function look_at(queue, n, present)
  local oldest = now - ARGV[1]
  for _, message in ipairs(redis.call('LRANGE', 'risk.' .. queue, -n, -1)) do
    local id = string.match(message, '"id": *"([^"]+)"')
    if id then
      present[id] = true
      local since = redis.call('ZSCORE', 'risk:waiting:' .. queue, id)
      oldest = math.min(oldest, tonumber(since or oldest))
    end
  end
  return oldest
end

local shards = tonumber(redis.call('GET', 'risk:shards') or 1)
for place = 6, #ARGV do
  local lane, present = ARGV[place], {}
  local oldest = {[lane] = look_at(lane, 200, present)}
  for shard = 0, shards > 1 and shards - 1 or -1 do
    oldest[lane .. '.' .. shard] = look_at(lane .. '.' .. shard, 20, present)
  end
  for queue, before in pairs(oldest) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'risk:waiting:' .. queue, '-inf', before,
        'LIMIT', 0, 200)) do
      local entry = redis.call('HMGET', 'risk:block:' .. id, 'published_ms', 'enqueued_ms')
      local away = now - tonumber(entry[1] or entry[2] or 0)
      if not present[id] and away > tonumber(ARGV[1]) then
        put_back(id, lane, 'it was fetched and never started', queue)
      end
    end
  end
end
return counts
