-- Prepended to every script: what ends a block, whatever ended it.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The microseconds beyond now_ms().
local function micros()
  return redis.call('TIME')[2] % 1000
end

-- How many ms ago a block was accepted, to the microsecond.
local function age_ms(accepted_ms, accepted_us)
  local time = redis.call('TIME')
  local ms = time[1] * 1000 + time[2] / 1000 - accepted_ms - (accepted_us or 0) / 1000
  return string.format('%.3f', math.max(ms, 0))
end

-- A worker holds a block no longer.
local function release(worker, id)
  redis.call('SREM', 'risk:held:' .. worker, id)
  if redis.call('EXISTS', 'risk:held:' .. worker) == 0 then
    redis.call('ZREM', 'risk:holders', worker)
  end
end

-- Remove what is kept of a block.
local function discard(id)
  redis.call('UNLINK', 'risk:block:' .. id, 'risk:payload:' .. id)
end

-- Take a block off the ledger and give back its room in the lane; the caller discards it.
local function settle(id)
  local key = 'risk:block:' .. id
  local entry = redis.call('HMGET', key, 'lane', 'checks', 'bytes', 'worker', 'queue')
  redis.call('ZREM', 'risk:ledger', id)
  if not entry[1] then return false end
  local lane = 'risk:lane:' .. entry[1]
  redis.call('ZREM', 'risk:waiting:' .. (entry[5] or entry[1]), id)
  redis.call('HINCRBY', lane, 'checks', -entry[2])
  redis.call('HINCRBY', lane, 'bytes', -entry[3])
  local now, marked = now_ms(), redis.call('HGET', lane, 'mark_ms')
  if not marked or now - marked > 2000 then
    local settled = redis.call('HGET', lane, 'settled') or 0
    redis.call('HSET', lane, 'mark_settled', settled, 'mark_ms', now)
  end
  redis.call('HINCRBY', lane, 'settled', entry[2])
  if entry[4] then release(entry[4], id) end
  return true
end

-- End a block whose result stands under its key: wake its caller, unless it does not wait. An
-- outcome that is small travels with the id.
local function announce(id, client, keep_s, outcome)
  if client ~= '' then
    redis.call('RPUSH', 'risk:reply:' .. client, outcome and id .. ' ' .. outcome or id)
    redis.call('EXPIRE', 'risk:reply:' .. client, keep_s)
  end
  settle(id)
end

-- Answer a block with an outcome that no worker computed.
local function answer(id, outcome, keep_s)
  local entry = redis.call('HMGET', 'risk:block:' .. id, 'client', 'unkept')
  local client = entry[1]
  if not client then return false end
  if entry[2] then
    settle(id)
    return true
  end
  redis.call('SET', 'risk:result:' .. id, outcome, 'EX', keep_s)
  announce(id, client, keep_s, outcome)
  return true
end

-- Count checks that ended without an answer, in the slot of now (SLOT_S of risk_tasks.keys).
local function count_unanswered(lane, checks)
  local slot = 'risk:unanswered:' .. math.floor(now_ms() / 5000)
  redis.call('HINCRBY', slot, lane, checks)
  redis.call('EXPIRE', slot, 300)
end

-- Answer a block that nobody started before its deadline.
local function expire(id, keep_s)
  local entry = redis.call('HMGET', 'risk:block:' .. id, 'checks', 'lane')
  if not answer(id, '!expired', keep_s) then return false end
  redis.call('HINCRBY', 'risk:counters', 'expired', entry[1])
  count_unanswered(entry[2], entry[1])
  discard(id)
  return true
end
