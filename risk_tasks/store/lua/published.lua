-- Publishing of markets and limit sets. `outdate` is in live.lua.

-- script: market
-- Make a market the current one of a name. The superseded one is kept for blocks that use it.
-- KEYS  1 market hash  2 panel  3 markets
-- ARGV  1 market id  2 name  3 marks  4 panel id  5 panel ('' if only the prices are new)
--       6 seconds that a superseded market is kept
-- Returns 1, or 0 if only prices were given and the panel is not stored.
if ARGV[5] ~= '' then
  redis.call('SET', KEYS[2], ARGV[5])
elseif redis.call('PERSIST', KEYS[2]) == 0 and redis.call('EXISTS', KEYS[2]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'marks', ARGV[3], 'panel_id', ARGV[4])
redis.call('PERSIST', KEYS[1])
local old = redis.call('HGET', KEYS[3], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[1])
if old == ARGV[1] then return 1 end
outdate(ARGV[2])
if not old then return 1 end

local old_panel = redis.call('HGET', 'risk:market:' .. old, 'panel_id')
local panel_in_use = false
for _, id in ipairs(redis.call('HVALS', KEYS[3])) do
  if id == old then return 1 end
  if redis.call('HGET', 'risk:market:' .. id, 'panel_id') == old_panel then panel_in_use = true end
end
redis.call('EXPIRE', 'risk:market:' .. old, ARGV[6])
if old_panel and not panel_in_use then redis.call('EXPIRE', 'risk:panel:' .. old_panel, ARGV[6]) end
return 1

-- script: limits
-- Make a limit set the current one of its name.
-- KEYS  1 limit set  2 names
-- ARGV  1 version  2 name  3 limit set, JSON
redis.call('SET', KEYS[1], ARGV[3])
if redis.call('HGET', KEYS[2], ARGV[2]) == ARGV[1] then return end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[1])
outdate(ARGV[2])
