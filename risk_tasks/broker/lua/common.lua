-- Functions of all scripts of the broker.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Return the microseconds beyond now_ms().
local function micros()
  return redis.call('TIME')[2] % 1000
end

-- Return the ms since a block was accepted, with three decimals.
local function age_ms(accepted_ms, accepted_us)
  local time = redis.call('TIME')
  local ms = time[1] * 1000 + time[2] / 1000 - accepted_ms - accepted_us / 1000
  return string.format('%.3f', math.max(ms, 0))
end

-- Record that a worker no longer holds a block.
local function release(worker, id)
  redis.call('SREM', 'risk:held:' .. worker, id)
  if redis.call('EXISTS', 'risk:held:' .. worker) == 0 then
    redis.call('ZREM', 'risk:holders', worker)
  end
end

-- Add a block to the ledger, count it in its lane and push its envelope onto a queue.
local function add_to_ledger(id, lane, queue, entry, now, deadline_ms)
  redis.call('ZADD', 'risk:ledger', deadline_ms, id)
  redis.call('ZADD', 'risk:waiting:' .. queue, now, id)
  redis.call('HINCRBY', 'risk:lane:' .. lane, 'checks', entry.checks)
  redis.call('HINCRBY', 'risk:lane:' .. lane, 'bytes', entry.bytes)
  redis.call('LPUSH', 'risk.' .. queue, entry.envelope)
end

-- Remove a block from the ledger and from the counts of its lane. The entry and the payload stay.
local function remove_from_ledger(id)
  local lane, queue, checks, bytes, worker = unpack(redis.call('HMGET', 'risk:block:' .. id,
    'lane', 'queue', 'checks', 'bytes', 'worker'))
  redis.call('ZREM', 'risk:ledger', id)
  if not lane then return end
  local counts = 'risk:lane:' .. lane
  redis.call('ZREM', 'risk:waiting:' .. queue, id)
  redis.call('HINCRBY', counts, 'checks', -checks)
  redis.call('HINCRBY', counts, 'bytes', -bytes)
  -- enqueue computes the rate of the lane from a count of completed checks at least two seconds old.
  local now, marked = now_ms(), redis.call('HGET', counts, 'mark_ms')
  if not marked or now - marked > 2000 then
    local completed = redis.call('HGET', counts, 'completed') or 0
    redis.call('HSET', counts, 'mark_completed', completed, 'mark_ms', now)
  end
  redis.call('HINCRBY', counts, 'completed', checks)
  if worker then release(worker, id) end
end

-- Delete the entry and the payload of a block.
local function delete_block(id)
  redis.call('UNLINK', 'risk:block:' .. id, 'risk:payload:' .. id)
end

-- Complete a block whose result is stored: push its id, with a small result, onto the reply list of
-- its client, unless there is none.
local function reply(id, client, keep_s, result)
  if client ~= '' then
    redis.call('RPUSH', 'risk:reply:' .. client, result and id .. ' ' .. result or id)
    redis.call('EXPIRE', 'risk:reply:' .. client, keep_s)
  end
  remove_from_ledger(id)
end

-- Complete a block with a result that no worker computed. Return whether the block existed.
local function reply_without_answer(id, result, keep_s)
  local client, ignores_result = unpack(redis.call('HMGET', 'risk:block:' .. id,
    'client', 'ignore_result'))
  if not client then return false end
  if ignores_result then
    remove_from_ledger(id)
    return true
  end
  redis.call('SET', 'risk:result:' .. id, result, 'EX', keep_s)
  reply(id, client, keep_s, result)
  return true
end

-- Count checks without an answer in the current slot (SLOT_S of risk_tasks.keys).
local function count_unanswered(lane, checks)
  local slot = 'risk:unanswered:' .. math.floor(now_ms() / 5000)
  redis.call('HINCRBY', slot, lane, checks)
  redis.call('EXPIRE', slot, 300)
end

-- Complete a block whose deadline passed before a worker started it. Return whether it existed.
local function expire(id, keep_s)
  local lane, checks = unpack(redis.call('HMGET', 'risk:block:' .. id, 'lane', 'checks'))
  if not reply_without_answer(id, '!expired', keep_s) then return false end
  redis.call('HINCRBY', 'risk:counters', 'expired', checks)
  count_unanswered(lane, checks)
  delete_block(id)
  return true
end

-- Remove a dead letter from the index. Return 1 if it was there, else 0.
local function remove_letter(id)
  local bytes = redis.call('HGET', 'risk:dead:' .. id, 'kept_bytes')
  if bytes then redis.call('HINCRBY', 'risk:counters', 'dead_bytes', -bytes) end
  return redis.call('ZREM', 'risk:dead', id)
end

-- Add a dead letter, whose hash holds its fields, to the index; delete the oldest ones beyond
-- max_letters or max_bytes.
local function add_letter(id, reason, now, max_letters, max_bytes)
  local letter = 'risk:dead:' .. id
  local bytes = redis.call('STRLEN', 'risk:payload:' .. id)
    + redis.call('HSTRLEN', letter, 'envelope')
  redis.call('HSET', letter, 'reason', reason, 'died_ms', now, 'kept_bytes', bytes)
  -- The fraction keeps the order of letters of one millisecond.
  local number = redis.call('HINCRBY', 'risk:counters', 'dead', 1)
  redis.call('ZADD', 'risk:dead', now + number % 1000 / 1000, id)
  local held = redis.call('HINCRBY', 'risk:counters', 'dead_bytes', bytes)
  while redis.call('ZCARD', 'risk:dead') > tonumber(max_letters) or held > tonumber(max_bytes) do
    local oldest = redis.call('ZRANGE', 'risk:dead', 0, 0)[1]
    if oldest == id then break end
    remove_letter(oldest)
    redis.call('UNLINK', 'risk:dead:' .. oldest, 'risk:payload:' .. oldest)
    held = tonumber(redis.call('HGET', 'risk:counters', 'dead_bytes'))
    redis.call('HINCRBY', 'risk:counters', 'dead_dropped', 1)
  end
end

-- Make a block a dead letter: its entry becomes the letter, its payload stays, its client gets the
-- reason.
local function dead_letter(id, reason, keep_s, now, max_letters, max_bytes)
  if not reply_without_answer(id, '!dead ' .. reason, keep_s) then return end
  redis.call('RENAME', 'risk:block:' .. id, 'risk:dead:' .. id)
  count_unanswered(unpack(redis.call('HMGET', 'risk:dead:' .. id, 'lane', 'checks')))
  add_letter(id, reason, now, max_letters, max_bytes)
end
