-- Accept a block: is there room, under which versions is it answered, keep it, put it on its lane.
-- A large payload was written just before, in the same transaction: what passes through Lua is
-- copied three times. Where the block is refused, it goes again.
-- KEYS  1 block hash  2 lane hash  3 payload
-- ARGV  1 block id  2 client id ('' where nobody waits)  3 envelope  4 lane  5 checks
--       6 capacity in checks  7 capacity in bytes  8 timeout ms
--       9 market, by name or id ('' none)  10 limit set, by name or version ('' none)
--       11 whether the limit set must exist  12 name that the quota is kept under ('' none)
--       13 'unkept' where nothing is kept of the answer
--       14 shard ('' none: any worker of the lane)  15 a small payload, or none
-- Returns {'accepted', market id, limits version, how many shards}, {'unknown_limit_set'},
--         {'full', what, depth, capacity, retry after ms} or {'over_quota', checks a second, ms}.
-- A repeat of an accepted block (its reply was lost on the way) returns the stamp that it has.
local kept = redis.call('HMGET', KEYS[1], 'market_id', 'limits_version')
local shards = tonumber(redis.call('GET', 'risk:shards') or 1)
if kept[1] then return {'accepted', kept[1], kept[2], shards} end
if ARGV[15] then redis.call('SET', KEYS[3], ARGV[15]) end
local checks, bytes = tonumber(ARGV[5]), redis.call('STRLEN', KEYS[3])
local now = now_ms()

local function refuse(...)
  redis.call('UNLINK', KEYS[3])
  return {...}
end

-- How long until the lane has drained `surplus` checks at the rate of the last seconds.
local function retry_after_ms(surplus)
  local mark = redis.call('HMGET', KEYS[2], 'settled', 'mark_settled', 'mark_ms')
  local since = now - tonumber(mark[3] or now)
  local rate = since > 0 and (tonumber(mark[1]) - tonumber(mark[2])) / since or 0
  return math.max(50, math.min(5000, rate > 0 and math.ceil(surplus / rate) or 1000))
end

local room = redis.call('HMGET', KEYS[2], 'checks', 'bytes')
for what, one in pairs({checks = {room[1], checks, ARGV[6]}, bytes = {room[2], bytes, ARGV[7]}}) do
  local depth, capacity = tonumber(one[1] or 0), tonumber(one[3])
  -- What is larger than an empty lane passes alone: else it could never be answered.
  if depth > 0 and depth + one[2] > capacity then
    return refuse('full', what, depth, capacity, retry_after_ms(checks))
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

-- A bucket that fills at the quota's rate and holds one second of it.
local per_s = ARGV[12] ~= '' and tonumber(redis.call('HGET', 'risk:quotas', ARGV[12]))
if per_s then
  local bucket = 'risk:quota:' .. ARGV[12]
  local state = redis.call('HMGET', bucket, 'left', 'at_ms')
  local left = tonumber(state[1] or per_s) + (now - tonumber(state[2] or now)) * per_s / 1000
  left = math.min(left, per_s)
  -- What is larger than a full bucket passes when it is full, and leaves a debt.
  local wanted = math.min(checks, per_s)
  if left < wanted then
    return refuse('over_quota', per_s, math.ceil((wanted - left) * 1000 / per_s))
  end
  redis.call('HSET', bucket, 'left', tostring(left - checks), 'at_ms', now)
  redis.call('PEXPIRE', bucket, 5000 + math.ceil(checks * 1000 / per_s))
end

-- A shard that there is not would be served by nobody.
local queue = ARGV[4]
if ARGV[14] ~= '' and tonumber(ARGV[14]) < shards then queue = queue .. '.' .. ARGV[14] end
redis.call('HSET', KEYS[1], 'envelope', ARGV[3], 'client', ARGV[2], 'lane', ARGV[4],
  'queue', queue, 'checks', checks, 'bytes', bytes, 'market_id', market, 'limits_version', limits,
  'enqueued_ms', now, 'enqueued_us', micros(), 'deadline_ms', now + ARGV[8])
if ARGV[13] ~= '' then redis.call('HSET', KEYS[1], ARGV[13], 1) end
redis.call('ZADD', 'risk:ledger', now + ARGV[8], ARGV[1])
redis.call('ZADD', 'risk:waiting:' .. queue, now, ARGV[1])
redis.call('HINCRBY', KEYS[2], 'checks', checks)
redis.call('HINCRBY', KEYS[2], 'bytes', bytes)
if ARGV[2] ~= '' then redis.call('ZADD', 'risk:clients', now, ARGV[2]) end
redis.call('LPUSH', 'risk.' .. queue, ARGV[3])
return {'accepted', market, limits, shards}
