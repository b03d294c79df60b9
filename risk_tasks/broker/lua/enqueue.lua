-- Accept a block: is there room, under which versions is it answered, keep it, put it on its lane.
-- KEYS  1 lane list  2 block hash  3 lane hash
-- ARGV  1 block id  2 client id  3 payload  4 envelope  5 lane  6 checks  7 capacity in checks
--       8 timeout ms  9 market, by name or id ('' none)
--       10 limit set, by name or version ('' none)  11 whether the limit set must exist
-- Returns {'full', depth}, {'unknown_limit_set'} or {'accepted', market id, limits version}.
-- A repeat of an accepted block (its reply was lost on the way) returns the stamp it has.
local kept = redis.call('HMGET', KEYS[2], 'market_id', 'limits_version')
if kept[1] then return {'accepted', kept[1], kept[2]} end

local depth = tonumber(redis.call('HGET', KEYS[3], 'checks') or 0)
if depth > 0 and depth + ARGV[6] > tonumber(ARGV[7]) then return {'full', depth} end

local function resolve(names, prefix, name)
  if name == '' then return '' end
  local id = redis.call('HGET', names, name)
  if id then return id end
  if redis.call('EXISTS', prefix .. name) == 1 then return name end
  return ''
end
local market = resolve('risk:markets', 'risk:market:', ARGV[9])
local limits = resolve('risk:limit_sets', 'risk:limits:', ARGV[10])
if limits == '' and ARGV[11] == 'refuse' then return {'unknown_limit_set'} end
if limits == '' and ARGV[11] == 'answer' then limits = ARGV[10] end

local now = now_ms()
local bytes = #ARGV[3]
redis.call('HSET', KEYS[2], 'payload', ARGV[3], 'client', ARGV[2], 'lane', ARGV[5],
  'checks', ARGV[6], 'bytes', bytes, 'market_id', market, 'limits_version', limits,
  'enqueued_ms', now, 'deadline_ms', now + ARGV[8])
redis.call('ZADD', 'risk:ledger', now + ARGV[8], ARGV[1])
redis.call('HINCRBY', KEYS[3], 'checks', ARGV[6])
redis.call('HINCRBY', KEYS[3], 'bytes', bytes)
redis.call('ZADD', 'risk:clients', now, ARGV[2])
redis.call('LPUSH', KEYS[1], ARGV[4])
return {'accepted', market, limits}
