-- End a block: the first answer is stored and wakes its caller; any other changes nothing.
-- KEYS  1 block hash  2 result
-- ARGV  1 block id  2 answer  3 seconds to keep it
-- Returns 1 for the first answer, 0 for a duplicate, which is counted.
local client = redis.call('HGET', KEYS[1], 'client')
if not client then
  redis.call('HINCRBY', 'risk:counters', 'duplicates', 1)
  return 0
end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
redis.call('RPUSH', 'risk:reply:' .. client, ARGV[1])
redis.call('EXPIRE', 'risk:reply:' .. client, ARGV[3])
settle(ARGV[1])
return 1
