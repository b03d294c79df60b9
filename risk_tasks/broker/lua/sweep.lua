-- Remove what nobody waits for any more: blocks long past their deadline that no worker finished,
-- and the replies and results of clients that are gone. At most 100 of each a call, and of each client.
-- ARGV  1 grace ms beyond the deadline  2 ms after which an unseen client is gone
--       3 seconds to keep an outcome
-- Returns {blocks, clients, results} that were removed.
local now = now_ms()
local overdue = redis.call('ZRANGEBYSCORE', 'risk:ledger', '-inf', now - ARGV[1], 'LIMIT', 0, 100)
for _, id in ipairs(overdue) do
  if not expire(id, ARGV[3]) then settle(id) end
end

local gone = redis.call('ZRANGEBYSCORE', 'risk:clients', '-inf', now - ARGV[2], 'LIMIT', 0, 100)
local results = 0
for _, client in ipairs(gone) do
  local reply = 'risk:reply:' .. client
  for _, told in ipairs(redis.call('LPOP', reply, 100) or {}) do
    results = results + redis.call('UNLINK', 'risk:result:' .. string.match(told, '^%S+'))
  end
  -- A client with more replies is looked at again: small answers stand in their list too.
  if redis.call('EXISTS', reply) == 0 then redis.call('ZREM', 'risk:clients', client) end
end
redis.call('HINCRBY', 'risk:counters', 'swept_blocks', #overdue)
redis.call('HINCRBY', 'risk:counters', 'swept_results', results)
return {#overdue, #gone, results}
