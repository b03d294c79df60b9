-- Prepended to every script: the dead letters, of which the last so many are kept.

local function keep_dead(id, why, now, n_kept)
  redis.call('HSET', 'risk:dead:' .. id, 'reason', why, 'died_ms', now)
  redis.call('ZADD', 'risk:dead', now, id)
  redis.call('HINCRBY', 'risk:counters', 'dead', 1)
  local surplus = redis.call('ZCARD', 'risk:dead') - tonumber(n_kept)
  if surplus > 0 then
    for _, old in ipairs(redis.call('ZRANGE', 'risk:dead', 0, surplus - 1)) do
      redis.call('UNLINK', 'risk:dead:' .. old)
      redis.call('ZREM', 'risk:dead', old)
      redis.call('HINCRBY', 'risk:counters', 'dead_dropped', 1)
    end
  end
end

-- Give a block up: its entry, with the original bytes, stands among the dead; its caller is told.
local function bury(id, why, keep_s, n_kept, now)
  if not answer(id, '!dead ' .. why, keep_s) then return false end
  redis.call('RENAME', 'risk:block:' .. id, 'risk:dead:' .. id)
  keep_dead(id, why, now, n_kept)
  return true
end
