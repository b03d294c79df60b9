-- The life of a block: enqueue, start, finish; requeued by reap, removed by sweep.

-- script: enqueue
-- Accept a block, or refuse it: check the capacity of its lane, stamp the versions that it is
-- answered under, check the quota, store it and push its envelope onto its queue.
-- A large payload was written just before in the same transaction, because what passes through Lua
-- is copied three times; a refusal deletes it.
-- KEYS  1 block hash  2 lane hash  3 payload
-- ARGV  1 block id  2 client id ('': no client waits)  3 envelope  4 lane  5 checks
--       6 capacity in checks  7 capacity in bytes  8 timeout in ms
--       9 market, a name or an id ('': none)  10 limit set, a name or a version ('': none)
--       11 'refuse' or 'answer' if the limit set must exist, else 'none'
--       12 client name with a quota ('': none)  13 'ignore_result' if no answer is kept, else ''
--       14 shard ('': the queue of the lane)  15 a small payload, or missing
-- Returns {'accepted', market id, limits version, number of shards}, {'unknown_limit_set'},
--         {'full', 'checks' or 'bytes', depth, capacity, retry after ms}
--         or {'over_quota', checks per second, retry after ms}.
-- A repeated call for an accepted block, whose reply was lost, returns its stamp again.
local stamped_market, stamped_limits = unpack(redis.call('HMGET', KEYS[1],
  'market_id', 'limits_version'))
local shards = tonumber(redis.call('GET', 'risk:shards') or 1)
if stamped_market then return {'accepted', stamped_market, stamped_limits, shards} end
if ARGV[15] then redis.call('SET', KEYS[3], ARGV[15]) end
local checks, bytes = tonumber(ARGV[5]), redis.call('STRLEN', KEYS[3])
local now = now_ms()

local function refuse(...)
  redis.call('UNLINK', KEYS[3])
  return {...}
end

-- Return the ms in which the lane completes `surplus` checks at the rate of the last seconds.
local function retry_after_ms(surplus)
  local completed, mark_completed, mark_ms = unpack(redis.call('HMGET', KEYS[2],
    'completed', 'mark_completed', 'mark_ms'))
  local since = now - tonumber(mark_ms or now)
  local rate = since > 0 and (tonumber(completed) - tonumber(mark_completed)) / since or 0
  return math.max(50, math.min(5000, rate > 0 and math.ceil(surplus / rate) or 1000))
end

local held_checks, held_bytes = unpack(redis.call('HMGET', KEYS[2], 'checks', 'bytes'))
local bounds = {checks = {held_checks, checks, ARGV[6]}, bytes = {held_bytes, bytes, ARGV[7]}}
for unit, bound in pairs(bounds) do
  local depth, added, capacity = tonumber(bound[1] or 0), bound[2], tonumber(bound[3])
  -- An empty lane accepts a block of any size; otherwise a larger one could never be answered.
  if depth > 0 and depth + added > capacity then
    return refuse('full', unit, depth, capacity, retry_after_ms(checks))
  end
end

local function resolve(names, prefix, name)
  if name == '' then return '' end
  local id = redis.call('HGET', names, name)
  if id then return id end
  if redis.call('EXISTS', prefix .. name) == 1 then return name end
  return ''
end
local market = resolve('risk:markets', 'risk:market:', ARGV[9])
local limits = resolve('risk:limit_sets', 'risk:limits:', ARGV[10])
if limits == '' and ARGV[11] == 'refuse' then return refuse('unknown_limit_set') end
if limits == '' and ARGV[11] == 'answer' then limits = ARGV[10] end

-- A token bucket that fills at the rate of the quota and holds one second of it.
local per_s = ARGV[12] ~= '' and tonumber(redis.call('HGET', 'risk:quotas', ARGV[12]))
if per_s then
  local bucket = 'risk:quota:' .. ARGV[12]
  local left, at_ms = unpack(redis.call('HMGET', bucket, 'left', 'at_ms'))
  left = tonumber(left or per_s) + (now - tonumber(at_ms or now)) * per_s / 1000
  left = math.min(left, per_s)
  -- A block larger than the bucket needs a full one and leaves a debt.
  local needed = math.min(checks, per_s)
  if left < needed then
    return refuse('over_quota', per_s, math.ceil((needed - left) * 1000 / per_s))
  end
  redis.call('HSET', bucket, 'left', tostring(left - checks), 'at_ms', now)
  redis.call('PEXPIRE', bucket, 5000 + math.ceil(checks * 1000 / per_s))
end

-- No worker serves a shard beyond the number of shards.
local queue = ARGV[4]
if ARGV[14] ~= '' and tonumber(ARGV[14]) < shards then queue = queue .. '.' .. ARGV[14] end
redis.call('HSET', KEYS[1], 'envelope', ARGV[3], 'client', ARGV[2], 'lane', ARGV[4],
  'queue', queue, 'checks', checks, 'bytes', bytes, 'market_id', market, 'limits_version', limits,
  'enqueued_ms', now, 'enqueued_us', micros(), 'deadline_ms', now + ARGV[8])
if ARGV[13] ~= '' then redis.call('HSET', KEYS[1], ARGV[13], 1) end
if ARGV[2] ~= '' then redis.call('ZADD', 'risk:clients', now, ARGV[2]) end
local entry = {checks = checks, bytes = bytes, envelope = ARGV[3]}
add_to_ledger(ARGV[1], ARGV[4], queue, entry, now, now + ARGV[8])
return {'accepted', market, limits, shards}

-- script: start
-- Start a block: record its worker, unless its deadline has passed. The command that follows reads
-- the payload.
-- KEYS  1 block hash
-- ARGV  1 block id  2 worker  3 seconds to keep a result
-- Returns {'gone'}, {'expired'} or {'started', market id, limits version, ms in the queue, ms to
-- the deadline, lane, checks, 1 if no answer is kept}.
local market, limits, enqueued_ms, enqueued_us, deadline_ms, lane, queue, checks, ignores_result,
  worker = unpack(redis.call('HMGET', KEYS[1], 'market_id', 'limits_version', 'enqueued_ms',
    'enqueued_us', 'deadline_ms', 'lane', 'queue', 'checks', 'ignore_result', 'worker'))
if not market then return {'gone'} end
local now = now_ms()
if now > tonumber(deadline_ms) then
  expire(ARGV[1], ARGV[3])
  return {'expired'}
end
if worker then release(worker, ARGV[1]) end
redis.call('HSET', KEYS[1], 'worker', ARGV[2], 'started_ms', now)
redis.call('ZREM', 'risk:waiting:' .. queue, ARGV[1])
redis.call('SADD', 'risk:held:' .. ARGV[2], ARGV[1])
redis.call('ZADD', 'risk:holders', now, ARGV[2])
return {'started', market, limits, age_ms(enqueued_ms, enqueued_us), deadline_ms - now, lane, checks,
  ignores_result and 1 or 0}

-- script: finish
-- Complete a block with an answer. The first answer is stored and sent to the client; a later one
-- changes nothing. A block with 'ignore_result' keeps none.
-- A large answer was written to a key of its own just before, in the same transaction.
-- KEYS  1 block hash  2 large answer  3 result
-- ARGV  1 block id  2 seconds to keep the result  3 small answer, or missing
-- Returns the ms since the block was accepted, or nil for a duplicate, which is counted.
local client, enqueued_ms, enqueued_us, ignores_result = unpack(redis.call('HMGET', KEYS[1],
  'client', 'enqueued_ms', 'enqueued_us', 'ignore_result'))
if not client then
  redis.call('UNLINK', KEYS[2])
  redis.call('HINCRBY', 'risk:counters', 'duplicates', 1)
  return false
end
if ignores_result then
  redis.call('UNLINK', KEYS[2])
  remove_from_ledger(ARGV[1])
else
  if ARGV[3] then
    redis.call('SET', KEYS[3], ARGV[3], 'EX', ARGV[2])
  else
    redis.call('RENAME', KEYS[2], KEYS[3])
  end
  reply(ARGV[1], client, ARGV[2], ARGV[3])
end
delete_block(ARGV[1])
return age_ms(enqueued_ms, enqueued_us)

-- script: reap
-- Requeue blocks whose worker died, and blocks that were fetched and not started. A block that
-- still waits in its queue stays there. If another process of the server has taken over, by a
-- restart or a failover, answers may be lost that were stored just before: all started blocks are
-- requeued, once.
-- ARGV  1 ms allowed from fetch to start  2 maximum of requeues of a block
--       3 seconds to keep a result  4 maximum of dead letters  5 their maximum of bytes  6.. lanes
-- Returns {requeued, expired, dead-lettered}.
local now = now_ms()
local counts = {0, 0, 0}

local function requeue(id, lane, queue, reason)
  local key, waiting = 'risk:block:' .. id, 'risk:waiting:' .. queue
  local envelope, deadline_ms, worker, requeues, enqueued_ms = unpack(redis.call('HMGET', key,
    'envelope', 'deadline_ms', 'worker', 'requeues', 'enqueued_ms'))
  if not envelope then
    redis.call('ZREM', waiting, id)
    return remove_from_ledger(id)
  end
  if now > tonumber(deadline_ms) then
    expire(id, ARGV[3])
    counts[2] = counts[2] + 1
    return
  end
  if tonumber(requeues or 0) >= tonumber(ARGV[2]) then
    dead_letter(id, reason, ARGV[3], now, ARGV[4], ARGV[5])
    counts[3] = counts[3] + 1
    return
  end
  if worker then release(worker, id) end
  redis.call('HDEL', key, 'worker', 'started_ms')
  redis.call('HINCRBY', key, 'requeues', 1)
  -- It goes to the queue of the lane: the worker of its shard may be the one that died.
  redis.call('HSET', key, 'published_ms', now, 'queue', lane)
  redis.call('ZREM', waiting, id)
  redis.call('ZADD', 'risk:waiting:' .. lane, enqueued_ms, id)
  redis.call('RPUSH', 'risk.' .. lane, envelope)
  redis.call('HINCRBY', 'risk:counters', 'requeued', 1)
  counts[1] = counts[1] + 1
end

local process = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local known = redis.call('GET', 'risk:server')
local has_moved = known and known ~= process
if known ~= process then redis.call('SET', 'risk:server', process) end
for _, worker in ipairs(redis.call('ZRANGE', 'risk:holders', 0, -1)) do
  if has_moved or redis.call('EXISTS', 'risk:role:' .. worker) == 0 then
    -- A worker that lives has started a block for each of its threads at most.
    for _, id in ipairs(redis.call('SRANDMEMBER', 'risk:held:' .. worker, has_moved and 256 or 100)) do
      local lane, queue = unpack(redis.call('HMGET', 'risk:block:' .. id, 'lane', 'queue'))
      if lane then requeue(id, lane, queue, 'its workers died') end
      release(worker, id)
    end
  end
end

-- Mark the last n blocks of a queue as present and return the time of acceptance of the oldest.
-- Blocks are pushed at the left end of a queue and fetched from the right end, so that the oldest is
-- at the right. A waiting block that is older than all blocks near the right end, and not one of
-- them, was therefore fetched. Requeued blocks, those of shards too, are pushed at the right end of
-- the queue of their lane: only there the order may differ.
local function mark_present(queue, n, present)
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
for i = 6, #ARGV do
  local lane, present = ARGV[i], {}
  local oldest = {[lane] = mark_present(lane, 200, present)}
  for shard = 0, shards > 1 and shards - 1 or -1 do
    oldest[lane .. '.' .. shard] = mark_present(lane .. '.' .. shard, 20, present)
  end
  for queue, before in pairs(oldest) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'risk:waiting:' .. queue, '-inf', before,
        'LIMIT', 0, 200)) do
      local published_ms, enqueued_ms = unpack(redis.call('HMGET', 'risk:block:' .. id,
        'published_ms', 'enqueued_ms'))
      local age = now - tonumber(published_ms or enqueued_ms or 0)
      if not present[id] and age > tonumber(ARGV[1]) then
        requeue(id, lane, queue, 'it was fetched and never started')
      end
    end
  end
end
return counts

-- script: sweep
-- Remove blocks long past their deadline that no worker finished, and the replies and results of
-- clients that are gone; at most 100 blocks, 100 clients and 100 replies of each.
-- ARGV  1 grace in ms beyond the deadline  2 ms after which an unseen client is gone
--       3 seconds to keep a result
-- Returns {blocks, clients, results} removed.
local now = now_ms()
local overdue = redis.call('ZRANGEBYSCORE', 'risk:ledger', '-inf', now - ARGV[1], 'LIMIT', 0, 100)
for _, id in ipairs(overdue) do
  if not expire(id, ARGV[3]) then remove_from_ledger(id) end
end

local gone = redis.call('ZRANGEBYSCORE', 'risk:clients', '-inf', now - ARGV[2], 'LIMIT', 0, 100)
local results = 0
for _, client in ipairs(gone) do
  local replies = 'risk:reply:' .. client
  for _, one in ipairs(redis.call('LPOP', replies, 100) or {}) do
    results = results + redis.call('UNLINK', 'risk:result:' .. string.match(one, '^%S+'))
  end
  -- A client with more replies stays for the next call.
  if redis.call('EXISTS', replies) == 0 then redis.call('ZREM', 'risk:clients', client) end
end
redis.call('HINCRBY', 'risk:counters', 'swept_blocks', #overdue)
redis.call('HINCRBY', 'risk:counters', 'swept_results', results)
return {#overdue, #gone, results}
