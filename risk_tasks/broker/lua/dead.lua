-- Prepended to every script: the dead letters. The last so many are kept, within so many bytes.

local function forget_dead(id)
  local kept = redis.call('HGET', 'risk:dead:' .. id, 'kept_bytes')
  if kept then redis.call('HINCRBY', 'risk:counters', 'dead_bytes', -kept) end
  return redis.call('ZREM', 'risk:dead', id)
end

local function keep_dead(id, why, now, max_letters, max_bytes)
  local grave = 'risk:dead:' .. id
  local kept = redis.call('STRLEN', 'risk:payload:' .. id) + redis.call('HSTRLEN', grave, 'envelope')
  redis.call('HSET', grave, 'reason', why, 'died_ms', now, 'kept_bytes', kept)
  -- Of one millisecond they stand in the order in which they died.
  local number = redis.call('HINCRBY', 'risk:counters', 'dead', 1)
  redis.call('ZADD', 'risk:dead', now + number % 1000 / 1000, id)
  local held = redis.call('HINCRBY', 'risk:counters', 'dead_bytes', kept)
  while redis.call('ZCARD', 'risk:dead') > tonumber(max_letters) or held > tonumber(max_bytes) do
    local oldest = redis.call('ZRANGE', 'risk:dead', 0, 0)[1]
    if oldest == id then break end
    forget_dead(oldest)
    redis.call('UNLINK', 'risk:dead:' .. oldest, 'risk:payload:' .. oldest)
    held = tonumber(redis.call('HGET', 'risk:counters', 'dead_bytes'))
    redis.call('HINCRBY', 'risk:counters', 'dead_dropped', 1)
  end
end

-- Give a block up: its entry stands among the dead and its payload stays; its caller is told.
local function bury(id, why, keep_s, now, max_letters, max_bytes)
  if not answer(id, '!dead ' .. why, keep_s) then return false end
  redis.call('RENAME', 'risk:block:' .. id, 'risk:dead:' .. id)
  local entry = redis.call('HMGET', 'risk:dead:' .. id, 'lane', 'checks')
  count_unanswered(entry[1], entry[2])
  keep_dead(id, why, now, max_letters, max_bytes)
  return true
end
