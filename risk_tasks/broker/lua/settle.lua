-- Prepended to every script that ends a block: gives back its room in the lane, empties the ledger.
local function settle(id)
  local key = 'risk:block:' .. id
  local entry = redis.call('HMGET', key, 'lane', 'checks', 'bytes')
  redis.call('ZREM', 'risk:ledger', id)
  if not entry[1] then return false end
  redis.call('HINCRBY', 'risk:lane:' .. entry[1], 'checks', -entry[2])
  redis.call('HINCRBY', 'risk:lane:' .. entry[1], 'bytes', -entry[3])
  redis.call('UNLINK', key)
  return true
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
